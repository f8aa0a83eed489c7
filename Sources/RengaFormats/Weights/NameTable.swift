// NameTable.swift: lines "theirs=ours" that say which tensor of a file is which parameter, with * for any characters.
// Not here: whole namings (WeightNames.swift).
import RengaNetwork

/// One line: two patterns with as many stars, or one pattern alone.
struct NameLine {
    /// Of tensors in the file; empty: our parameters stay as they are.
    let theirs: [UInt8]
    /// Of our parameters; empty: these tensors of the file are left out.
    let ours: [UInt8]

    private static let star = UInt8(ascii: "*")

    /// Reads "theirs=ours" after its spaces are gone; nil without "=".
    init?(_ text: Substring.UTF8View) throws(RengaError) {
        guard let sign = text.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        theirs = NameLine.trimmed(text[..<sign])
        ours = NameLine.trimmed(text[text.index(after: sign)...])
        let stars = [theirs, ours].map { side in side.count { $0 == NameLine.star } }
        let isPair = !theirs.isEmpty && !ours.isEmpty
        guard !(theirs.isEmpty && ours.isEmpty), !isPair || stars[0] == stars[1] else {
            throw RengaError(
                .invalidArgument,
                "the line '\(String(Substring(text)).prefix(200))' must be theirs=ours with the same number of * on both sides, "
                    + "or one side alone")
        }
    }

    /// What our name `name` is called there; nil where the line does not speak of it.
    func theirs(for name: String) -> String? {
        guard let parts = NameLine.match(ours, Array(name.utf8)) else { return nil }
        var (result, next): ([UInt8], Int) = ([], 0)
        for byte in theirs {
            if byte == NameLine.star, next < parts.count {
                result += parts[next]
                next += 1
            } else {
                result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Whether the line leaves out the tensor `name` of a file.
    func leavesOut(_ name: String) -> Bool {
        ours.isEmpty && NameLine.match(theirs, Array(name.utf8)) != nil
    }

    /// What the stars of `pattern` stand for in `text`, the first ones for as little as will do; nil where it does not match.
    private static func match(_ pattern: [UInt8], _ text: [UInt8]) -> [ArraySlice<UInt8>]? {
        let pieces = pattern.split(separator: star, omittingEmptySubsequences: false)
        guard let first = pieces.first, let last = pieces.last, text.starts(with: first) else { return nil }
        var rest = text.dropFirst(first.count)
        guard pieces.count > 1 else { return rest.isEmpty ? [] : nil }
        var parts: [ArraySlice<UInt8>] = []
        // If a piece stands anywhere, its first place leaves the most for those behind it.
        for piece in pieces.dropFirst().dropLast() {
            guard
                let place = rest.indices.first(where: { rest[$0...].starts(with: piece) })
                    ?? (piece.isEmpty ? rest.endIndex : nil)
            else { return nil }
            parts.append(rest[..<place])
            rest = rest[(place + piece.count)...]
        }
        guard rest.count >= last.count, rest.suffix(last.count).elementsEqual(last) else { return nil }
        return parts + [rest.dropLast(last.count)]
    }

    /// Without spaces and carriage returns at its ends.
    static func trimmed(_ text: Substring.UTF8View) -> [UInt8] {
        var bytes = Array(text)[...]
        while let byte = bytes.first, byte <= 0x20 { bytes.removeFirst() }
        while let byte = bytes.last, byte <= 0x20 { bytes.removeLast() }
        return Array(bytes)
    }
}
