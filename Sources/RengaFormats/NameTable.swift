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
    /// Each star may begin anywhere: more than these would take their time.
    private static let mostStars = 4

    /// Reads "theirs=ours" after its spaces are gone; nil without "=".
    init?(_ text: Substring.UTF8View) throws(RengaError) {
        guard let sign = text.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        theirs = NameLine.trimmed(text[..<sign])
        ours = NameLine.trimmed(text[text.index(after: sign)...])
        let stars = [theirs, ours].map { side in side.count { $0 == NameLine.star } }
        let isPair = !theirs.isEmpty && !ours.isEmpty
        guard !(theirs.isEmpty && ours.isEmpty), !isPair || stars[0] == stars[1],
            stars.allSatisfy({ $0 <= NameLine.mostStars })
        else {
            throw RengaError(
                .invalidArgument,
                "the line '\(String(Substring(text)).prefix(200))' must be theirs=ours with the same number of * on both sides, at most "
                    + "\(NameLine.mostStars), or one side alone")
        }
    }

    /// What our name `name` is called there; nil where the line does not speak of it.
    func theirs(for name: String) -> String? {
        guard let parts = NameLine.match(ours[...], Array(name.utf8)[...]) else { return nil }
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
        ours.isEmpty && NameLine.match(theirs[...], Array(name.utf8)[...]) != nil
    }

    /// What the stars of `pattern` stand for in `text`, each for as little as will do; nil where it does not match.
    private static func match(
        _ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>
    ) -> [ArraySlice<UInt8>]? {
        var (pattern, text) = (pattern, text)
        while let byte = pattern.first, byte != star {
            guard text.first == byte else { return nil }
            pattern.removeFirst()
            text.removeFirst()
        }
        guard !pattern.isEmpty else { return text.isEmpty ? [] : nil }
        for end in text.startIndex...text.endIndex {
            if let rest = match(pattern.dropFirst(), text[end...]) { return [text[..<end]] + rest }
        }
        return nil
    }

    /// Without spaces and carriage returns at its ends.
    static func trimmed(_ text: Substring.UTF8View) -> [UInt8] {
        var bytes = Array(text)[...]
        while let byte = bytes.first, byte <= 0x20 { bytes.removeFirst() }
        while let byte = bytes.last, byte <= 0x20 { bytes.removeLast() }
        return Array(bytes)
    }
}
