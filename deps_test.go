package forge

import (
	_ "github.com/alecthomas/participle/v2"
	_ "github.com/alecthomas/participle/v2/lexer"
	_ "github.com/dlclark/regexp2/v2"
	_ "github.com/edsrzf/mmap-go"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/nikolalohinski/gonja/v2"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/spf13/cobra"
	_ "golang.org/x/sys/cpu"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/text/unicode/norm"
	_ "gorgonia.org/gorgonia"
	_ "gorgonia.org/tensor"
	_ "pgregory.net/rapid"
)
