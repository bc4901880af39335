package diag

// meanings says what each code means. A code never changes its meaning, and the number of one that is no longer reported is not
// given again: people search for codes, and scripts match them.
var meanings = map[string]string{
	// The text of a file.
	"E001": "a character forge does not know",
	"E002": "a number is malformed, or its unit is glued to it",
	"E003": "a string is not closed",
	"E004": "an unknown escape in a string",
	"E005": "a bracket closes nothing, or is never closed",
	"E006": "the file does not begin with `forge N`",
	"E007": "a version this forge does not read",
	"E008": "a `}` is missing before the next declaration",
	"E009": "too deep, too long, too large",
	"E010": "syntax: the line can't be read",
	"E011": "a reserved word as a name",
	"E012": "a line or declaration that is not allowed here",
	"E013": "operators that read two ways",

	// Names, settings and attributes.
	"E100": "nothing here is called that",
	"E101": "no such setting, attribute or path",
	"E102": "given twice",
	"E103": "no such kind of section",
	"E104": "a setting or attribute is missing",
	"E105": "the module has no such member",
	"E106": "computed from itself",
	"E107": "a block contains itself",
	"E108": "the path goes through what can't be changed",
	"E109": "too many values by position, or one by position and by name",
	"E110": "more than six switches in a block",
	"E111": "`any` outside a sweep",

	// Tensors and their axes.
	"E200": "not an axis here",
	"E201": "acts on an axis that the value does not have",
	"E202": "what is returned does not have the declared shape",
	"E203": "an equation does not have its stated shape",
	"E204": "two sides don't fit",
	"E205": "the sizes of split, concat or view don't add up",
	"E206": "the argument does not fit the block's input",
	"E207": "an axis twice in one tensor",
	"E208": "a token sees later ones, or another sequence",
	"E209": "never used",
	"E210": "`batch`, `seq`, `key` can't be cut or renamed",
	"E211": "a block applied without being a part",
	"E212": "used where its guard is false",
	"E213": "an axis that may be `none` without a guard",
	"E214": "the value of an effect has the wrong axes",
	"E215": "the wrong number of inputs, or of names on the left",
	"E216": "`return` is not the last line, or given twice",
	"E217": "a schedule outside an effect",
	"E218": "cache or causal without the axes they need",
	"E219": "no gradient can reach this weight",
	"E220": "a bank's block acts on `seq` or `batch`",
	"E221": "a tensor where a build-time value must stand",
	"E222": "a value that is known before it is computed",
	"E223": "an operation that gives no number here",
	"E224": "an axis turned by positions that nothing contracts",
	"E225": "a weight that meets no value of the data",
	"E226": "two equations that say the same",

	// Values, types and units.
	"E300": "the wrong type",
	"E301": "a bare number where a quantity belongs",
	"E302": "not one of the words",
	"E303": "out of range",
	"E304": "an axis that is not a whole number",
	"E305": "units that do not mix",
	"E306": "not a unit",
	"E307": "less than one step",
	"E308": "the wrong unit",
	"E309": "division by zero, or not finite",
	"E310": "no such item in the list",
	"E311": "a malformed pattern",

	// Files, imports and plugins.
	"E400": "no such file",
	"E401": "the plugin is not installed",
	"E402": "files import each other in a circle",
	"E403": "two imports of one name",
	"E404": "the version asked for can't be had",
	"E405": "the checksum is not the lock's",
	"E406": "the plugin's header is not the lock's",
	"E407": "the plugin does not do what its header says",
	"E408": "another protocol version",
	"E409": "forge.lock does not fit the recipe's imports",

	// The recipe as a whole.
	"E500": "a `require` does not hold",
	"E501": "a schedule ends before training",
	"E502": "the tokenizer's vocabulary is not the model's",
	"E503": "the plan does not fit the devices, batch or experts",
	"E504": "two stages' models have other weights",
	"E505": "a pattern matches nothing, or a weight is in two groups",
	"E506": "the step budget is used up",
	"E507": "a schedule's piece ends before it begins",
	"E508": "nothing to train on, or no stage",
	"E509": "the layers don't take and give the model's `dim`",

	// Checkpoints.
	"E600": "a checkpoint file can't be read",
	"E601": "a weight has no line",
	"E602": "a weight has two lines",
	"E603": "the line's axes are not the weight's",
	"E604": "no block declares what the line names",
	"E605": "a tensor is missing in the file",
	"E606": "a tensor of the file has no line",
	"E607": "a tensor has other sizes",
	"E608": "block scales are missing or have other sizes",
	"E609": "a copy is not equal to its original",
	"E610": "config.json asks for what forge can't express",

	// Warnings: the recipe can be used.
	"W001": "a schedule is now one number",
	"W002": "a helper cell is never used",
	"W003": "a state is not in the checkpoint and starts fresh",
	"W004": "an older form: `forge fix` rewrites it",
	"W005": "an override has no effect on the recipe",
	"W006": "a default of the plugin changed since the lock",
}

// Explain says in a few words what a code means; false if there is no such code.
func Explain(code string) (string, bool) {
	meaning, ok := meanings[code]
	return meaning, ok
}
