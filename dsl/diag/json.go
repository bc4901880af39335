package diag

// Record is a Diagnostic as `--json` prints it.
type Record struct {
	Code     string        `json:"code"`
	Severity string        `json:"severity"` // "error" or "warning"
	Message  string        `json:"message"`
	Spans    []LabelRecord `json:"spans"`
	Help     []string      `json:"help"`
	Fixes    []FixRecord   `json:"fixes"`
}

// SpanRecord is a Span; lines and columns count from 1, the end is exclusive.
type SpanRecord struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Col     int    `json:"col"`
	EndLine int    `json:"end_line"`
	EndCol  int    `json:"end_col"`
}

// LabelRecord is a Label.
type LabelRecord struct {
	SpanRecord
	Label string `json:"label"`
	Main  bool   `json:"main"`
}

// FixRecord is a Fix.
type FixRecord struct {
	Span SpanRecord `json:"span"`
	Text string     `json:"text"`
}

// JSON gives a list as encoding/json should write it, sorted by place, all of it, no field null. list is left as it is.
func JSON(list List) []Record {
	sorted := append(List(nil), list...)
	sorted.Sort()
	records := make([]Record, 0, len(sorted))
	for _, d := range sorted {
		record := Record{
			Code: d.Code, Severity: "error", Message: d.Message,
			Spans: []LabelRecord{}, Help: append([]string{}, d.Help...), Fixes: []FixRecord{},
		}
		if d.Severity == Warning {
			record.Severity = "warning"
		}
		for _, l := range d.Labels {
			if !l.Span.IsZero() {
				record.Spans = append(record.Spans, LabelRecord{spanRecord(l.Span), l.Text, l.Main})
			}
		}
		for _, f := range d.Fixes {
			record.Fixes = append(record.Fixes, FixRecord{spanRecord(f.Span), f.Text})
		}
		records = append(records, record)
	}
	return records
}

func spanRecord(s Span) SpanRecord {
	return SpanRecord{File: s.File, Line: s.Start.Line, Col: s.Start.Col, EndLine: s.End.Line, EndCol: s.End.Col}
}
