//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// model is a size of DeepSeek-V3, with the fields of its config.json. Its recipe is in recipes/.
type model struct {
	Vocab      int `json:"vocab_size"`
	Dim        int `json:"hidden_size"`
	Layers     int `json:"num_hidden_layers"`
	MTP        int `json:"num_nextn_predict_layers"`
	Heads      int `json:"num_attention_heads"`
	QRank      int `json:"q_lora_rank"`
	KVRank     int `json:"kv_lora_rank"`
	Nope       int `json:"qk_nope_head_dim"`
	Rope       int `json:"qk_rope_head_dim"`
	V          int `json:"v_head_dim"`
	Inner      int `json:"intermediate_size"`
	Expert     int `json:"moe_intermediate_size"`
	Experts    int `json:"n_routed_experts"`
	TopK       int `json:"num_experts_per_tok"`
	Groups     int `json:"n_group"`
	KeptGroups int `json:"topk_group"`

	batch, seq int // of a training step
}

// models are the three sizes. All have one dense layer, one shared expert, a scale of 2.5, normed weights of experts, norms with
// 1e-6 and rotations with 10000.
var models = map[string]*model{
	"tiny-v3":  {4096, 256, 6, 1, 8, 128, 64, 32, 16, 32, 1024, 128, 32, 4, 4, 2, 8, 256},
	"small-v3": {8192, 512, 8, 1, 8, 256, 128, 64, 32, 64, 2048, 128, 64, 6, 8, 4, 4, 512},
	"lite-v3":  {32768, 1024, 16, 0, 16, 512, 256, 64, 32, 64, 2816, 448, 64, 6, 1, 1, 0, 0},
}

// config writes a model's sizes for the peers.
func (s *setup) config(name string) (string, error) {
	text, err := json.MarshalIndent(models[name], "", " ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.work, name+".json")
	return path, os.WriteFile(path, text, 0o666)
}
