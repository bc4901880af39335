// Package std carries the standard blocks (attention, feed-forward, mixture of experts, multi-token prediction, norms, the
// residual layer) as recipe text. It is laid out exactly like an installed text plugin and holds no code of its own: whoever
// resolves names parses these files as one module whose blocks are known everywhere.
package std

import "embed"

// FS holds the standard blocks' files at its root. To users a file is called `std/moe.forge`.
//
//go:embed *.forge
var FS embed.FS
