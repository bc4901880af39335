" The language of forge's recipes.
if exists("b:current_syntax")
  finish
endif

syntax keyword forgeReserved and else false for if in let not or then true
syntax match forgeTop "^\(block\|builtin\|forge\|kind\|use\)\>"
syntax match forgeSection "^\(data\|model\|plan\|recipe\|run\|sweep\|train\|weights\)\ze\s\+\h\w*"
syntax match forgeLine "^\s\+\zs\(loss\|metric\|part\|require\|return\|state\|update\|weight\)\>\ze\s\+[^=,:.]"
syntax keyword forgeConstant none inf batch seq key
syntax match forgeOperation "\<\(abs\|cache\|causal\|concat\|conv\|cumsum\|dot\|exp\|gelu\|log\|max\|mean\|min\|prev\|relu\|rename\|route\|scan\|sigmoid\|sign\|silu\|softmax\|split\|sqrt\|square\|stop_grad\|sum\|take\|tanh\|top\|view\|where\)\>\ze\s*[[(]"
syntax match forgeNumber "\<\d[0-9_]*\(\.\d[0-9_]*\)\?\([eE][+-]\?\d\+\)\?\([kMBT]\|[KMGT]i\)\?\>" nextgroup=forgeUnit skipwhite
syntax keyword forgeUnit contained epochs hours minutes seconds seqs steps tokens
syntax region forgeString start=+"+ skip=+\\.+ end=+"+ oneline
syntax match forgeComment "#.*$"
syntax match forgeDoc "##.*$"

highlight default link forgeReserved Conditional
highlight default link forgeTop Statement
highlight default link forgeSection Structure
highlight default link forgeLine Keyword
highlight default link forgeConstant Constant
highlight default link forgeOperation Function
highlight default link forgeNumber Number
highlight default link forgeUnit Type
highlight default link forgeString String
highlight default link forgeComment Comment
highlight default link forgeDoc SpecialComment

let b:current_syntax = "forge"
