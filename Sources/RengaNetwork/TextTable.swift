// TextTable.swift: rows of text with aligned columns, for people.
// Not here: what stands in them.

/// Text in columns; the last column is ragged.
package struct TextTable {
    /// The rows; all with as many entries as the first.
    package var rows: [[String]]
    /// Text before each line.
    package var indent: String
    /// Columns whose entries stand to the right.
    package var rightAligned: Set<Int>

    /// Lays out rows.
    package init(rows: [[String]], indent: String = "", rightAligned: Set<Int> = []) {
        self.rows = rows
        self.indent = indent
        self.rightAligned = rightAligned
    }

    /// The table; every line ends with a newline.
    package var text: String {
        let columns = rows.first?.count ?? 0
        let widths = (0..<columns).map { column in
            rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            var line = indent
            for (column, entry) in row.enumerated() {
                let isLast = column == row.count - 1
                let spaces = String(
                    repeating: " ", count: max(0, (column < columns ? widths[column] : 0) - entry.count))
                if rightAligned.contains(column) {
                    line += spaces + entry
                } else {
                    line += isLast ? entry : entry + spaces
                }
                if !isLast { line += "  " }
            }
            return line + "\n"
        }.joined()
    }
}
