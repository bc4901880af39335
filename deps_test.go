package forge
import (
 _ "github.com/alecthomas/participle/v2"
 _ "github.com/alecthomas/participle/v2/lexer"
 _ "github.com/google/go-cmp/cmp"
 _ "github.com/rogpeppe/go-internal/testscript"
 _ "github.com/spf13/cobra"
 _ "golang.org/x/sys/cpu"
 _ "golang.org/x/sys/unix"
 _ "gorgonia.org/gorgonia"
 _ "gorgonia.org/tensor"
 _ "pgregory.net/rapid"
)
