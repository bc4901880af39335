package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"forge/engine/generate"
	"forge/engine/memory"
)

// generateOptions are the flags of `forge generate`.
type generateOptions struct {
	checkpoint string
	keep       string // one of weights.Keepings
	prompt     string
	fromStdin  bool
	request    generate.Options
}

func newGenerateCommand(a *app) *cobra.Command {
	o := generateOptions{}
	sampling := &o.request.Sampling
	cmd := &cobra.Command{
		Use:   "generate CHECKPOINT",
		Short: "Continue a text with a trained model",
		Long: `generate continues a prompt, given with --prompt or on standard input, and prints the continuation as it is made. With --json each
token is a line, and the last line says how the text ended.`,
		Example: `  forge generate runs/tiny-1 --prompt "func main() {"
  forge generate tiny --temperature 0 --max-tokens 64 < prompt.txt`,
		Args: oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.checkpoint = args[0]
			o.fromStdin = !cmd.Flags().Changed("prompt")
			return runGenerate(cmd.Context(), a, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.prompt, "prompt", "", "the `TEXT` to continue (default: standard input)")
	flags.IntVar(&o.request.MaxTokens, "max-tokens", 128, "make at most `N` tokens; 0 until the context is full")
	flags.Float64Var(&sampling.Temperature, "temperature", 0.8, "0 takes the likeliest token each time")
	flags.IntVar(&sampling.TopK, "top-k", 40, "draw from the `K` likeliest tokens; 0 from all")
	flags.Float64Var(&sampling.TopP, "top-p", 0.95, "draw from the likeliest tokens that hold this probability; 1 from all")
	flags.Float64Var(&sampling.MinP, "min-p", 0.05, "draw from tokens with at least this share of the likeliest one's probability")
	flags.Float64Var(&sampling.RepeatPenalty, "repeat-penalty", 1, "make the tokens of the last 64 less likely; 1 does not")
	flags.Int64Var(&sampling.Seed, "seed", 0, "of the draw: the same seed gives the same text")
	flags.StringArrayVar(&o.request.Stop, "stop", nil, "end before this `TEXT`; may be repeated")
	flags.IntVar(&o.request.Logprobs, "logprobs", -1, "with --json: log probabilities, and those of the `N` likeliest tokens")
	keepFlag(cmd, &o.keep)
	return cmd
}

func runGenerate(ctx context.Context, a *app, o generateOptions) error {
	if err := o.request.Sampling.Check(); err != nil {
		return &usageError{err}
	}
	if o.request.MaxTokens < 0 {
		return usagef("--max-tokens wants 0 or more, not %d", o.request.MaxTokens)
	}
	prompt := o.prompt
	if o.fromStdin {
		text, err := io.ReadAll(io.LimitReader(a.stdin, longestPrompt+1))
		if err != nil {
			return fmt.Errorf("the prompt cannot be read: %w", err)
		}
		if len(text) > longestPrompt {
			return fmt.Errorf("the prompt on standard input is longer than %d MiB: no model here reads as much", longestPrompt>>20)
		}
		prompt = string(text)
	}
	capacity := 0
	model, err := a.openTrained(o.checkpoint, o.keep, func(t *trained) (*memory.Work, error) {
		length := t.stage.Seq
		if o.request.MaxTokens > 0 {
			length = len(t.tokenizer.Encode(nil, []byte(prompt))) + o.request.MaxTokens
		}
		capacity = generate.Capacity(t.stage.Seq, length)
		return generation(t.stage.Model, capacity)
	})
	if err != nil {
		return err
	}
	defer model.Close()
	generator, err := generate.New(generate.Config{
		Model: model.stage.Model, Backend: model.backend, Store: model.store, Tokenizer: model.tokenizer,
		Context: model.stage.Seq, Capacity: capacity,
	})
	if err != nil {
		return err
	}
	defer generator.Close()
	emit := a.emitText
	if a.json {
		emit = a.emitJSON(o.request.Logprobs)
	}
	result, err := generator.Generate(ctx, prompt, o.request, emit)
	if err != nil {
		return err
	}
	return a.finishGeneration(result)
}

// longestPrompt is how much is read of a prompt, in bytes: standard input may have no end.
const longestPrompt = 16 << 20

// emitText prints a token's text at once.
func (a *app) emitText(t generate.Token) error {
	if _, err := io.WriteString(a.stdout, t.Text); err != nil {
		return err
	}
	return a.stdout.Flush()
}

// emitJSON prints a token as a line of JSON.
func (a *app) emitJSON(logprobs int) func(generate.Token) error {
	type alternative struct {
		ID      int32   `json:"id"`
		Logprob float64 `json:"logprob"`
	}
	type line struct {
		ID      int32         `json:"id"` // −1: text that was held back until the end
		Text    string        `json:"text"`
		Logprob *float64      `json:"logprob,omitempty"`
		Top     []alternative `json:"top,omitempty"`
	}
	return func(t generate.Token) error {
		l := line{ID: t.ID, Text: t.Text}
		if logprobs >= 0 && t.ID >= 0 {
			l.Logprob = &t.Logprob
			for _, other := range t.Top {
				l.Top = append(l.Top, alternative{other.Token, other.Logprob})
			}
		}
		return a.printLine(l)
	}
}

// printLine writes v as one line of JSON, at once.
func (a *app) printLine(v any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	if _, err := a.stdout.Write(text.Bytes()); err != nil {
		return err
	}
	return a.stdout.Flush()
}

// finishGeneration ends the text and says how fast it was.
func (a *app) finishGeneration(r *generate.Result) error {
	if a.json {
		return a.printLine(map[string]any{
			"finish": r.Finish, "prompt_tokens": r.PromptTokens, "tokens": len(r.Tokens),
			"prefill_tok_s": perSecond(r.PromptTokens-r.Reused, r.Prefill), "decode_tok_s": perSecond(len(r.Tokens), r.Decode),
		})
	}
	if !strings.HasSuffix(r.Text, "\n") {
		a.printf("\n")
	}
	if err := a.stdout.Flush(); err != nil {
		return err
	}
	a.notef("%s of prompt at %.0f a second; %s made at %.0f a second; ended by %s\n",
		countOf(r.PromptTokens, "token", "tokens"), perSecond(r.PromptTokens-r.Reused, r.Prefill),
		countOf(len(r.Tokens), "token", "tokens"), perSecond(len(r.Tokens), r.Decode), r.Finish)
	return nil
}

func perSecond(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
