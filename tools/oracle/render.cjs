// Reads jobs, a JSON list of {template, variables} from the file named first, and writes what Hugging Face's Jinja makes of each to
// the file named second: {text} or {error}.
const fs = require("fs");
const { Template } = require("@huggingface/jinja");

const answers = JSON.parse(fs.readFileSync(process.argv[2], "utf8")).map((job) => {
  try {
    return { text: new Template(job.template).render(job.variables) };
  } catch (e) {
    return { error: String(e.message) };
  }
});
fs.writeFileSync(process.argv[3], JSON.stringify(answers));
