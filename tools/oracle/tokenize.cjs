// Reads jobs, a JSON list of {tokenizer, texts, tokens} from the file named first, and writes what Hugging Face's tokenizers answer
// to the file named second: for each job {error} or {plain, whole, decoded, shown}, the tokens of each text without and with those
// that the post-processor adds, and the text of each list of tokens with and without special tokens.
const fs = require("fs");
const { Tokenizer } = require("@anush008/tokenizers");

async function answer(job) {
  let t;
  try {
    t = Tokenizer.fromString(job.tokenizer);
  } catch (e) {
    return { error: String(e.message) };
  }
  const encode = async (addSpecialTokens) => {
    const out = [];
    for (const text of job.texts) out.push((await t.encode(text, null, { addSpecialTokens })).getIds());
    return out;
  };
  const decode = async (skip) => {
    const out = [];
    for (const ids of job.tokens) out.push(await t.decode(ids, skip));
    return out;
  };
  return { plain: await encode(false), whole: await encode(true), decoded: await decode(false), shown: await decode(true) };
}

(async () => {
  const answers = [];
  for (const job of JSON.parse(fs.readFileSync(process.argv[2], "utf8"))) answers.push(await answer(job));
  fs.writeFileSync(process.argv[3], JSON.stringify(answers));
})();
