// JSON+Parsing.swift: reads JSON text (RFC 8259) from anywhere, hostile files included: bounded depth, no trap, errors with their place.
// Not here: writing (JSON.swift).

extension JSON {
    /// Deepest nesting that is read: real documents have below ten, and recursion must end before the stack does.
    package static let deepest = 64

    /// Reads one document. Errors: corruptData with the byte where it went wrong; a name twice in one object is one of them.
    package init(parsing text: String) throws(RengaError) {
        self = try JSON(parsing: Array(text.utf8))
    }

    /// Reads one document from UTF-8 bytes.
    package init(parsing bytes: [UInt8]) throws(RengaError) {
        var parser = JSONParser(bytes: bytes)
        self = try parser.document()
    }
}

private struct JSONParser {
    let bytes: [UInt8]
    var position = 0

    private static let few = 8

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(RengaError) -> JSON {
        let value = try value(depth: 0)
        skipSpaces()
        guard position == bytes.count else { throw wrong("something follows the document") }
        return value
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func wrong(_ what: String) -> RengaError {
        RengaError(.corruptData, "JSON: \(what) at byte \(position)")
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private mutating func skipSpaces() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(RengaError) -> JSON {
        guard depth < JSON.deepest else { throw wrong("nested deeper than \(JSON.deepest)") }
        skipSpaces()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try list(depth: depth)
        case UInt8(ascii: "\""): return .text(try text())
        case UInt8(ascii: "-"): return try number()
        case UInt8(ascii: "t"): return try word("true", .flag(true))
        case UInt8(ascii: "f"): return try word("false", .flag(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case nil: throw wrong("the text ends where a value should be")
        case let byte? where JSONParser.isDigit(byte): return try number()
        default: throw wrong("expected a value")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSON) throws(RengaError) -> JSON {
        for offset in 0..<word.utf8CodeUnitCount {
            guard next == word.utf8Start[offset] else { throw wrong("expected \(word)") }
            position += 1
        }
        return value
    }

    private mutating func list(depth: Int) throws(RengaError) -> JSON {
        position += 1
        var elements: [JSON] = []
        skipSpaces()
        if take("]") { return .list(elements) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpaces()
            if take("]") { return .list(elements) }
            guard take(",") else { throw wrong("expected , or ]") }
        }
    }

    private mutating func object(depth: Int) throws(RengaError) -> JSON {
        position += 1
        var members: [JSON.Member] = []
        // Where there are few, looking at each is faster than a table.
        var names = Set<String>()
        skipSpaces()
        if take("}") { return .object(members) }
        while true {
            skipSpaces()
            guard next == UInt8(ascii: "\"") else { throw wrong("expected a name") }
            let name = try text()
            if members.count == JSONParser.few { names = Set(members.map(\.name)) }
            let isKnown =
                members.count < JSONParser.few
                ? members.contains { $0.name == name } : !names.insert(name).inserted
            guard !isKnown else { throw wrong("the name '\(name.prefix(80))' stands twice before") }
            skipSpaces()
            guard take(":") else { throw wrong("expected :") }
            members.append(JSON.Member(name, try value(depth: depth + 1)))
            skipSpaces()
            if take("}") { return .object(members) }
            guard take(",") else { throw wrong("expected , or }") }
        }
    }

    /// `-? (0 | 1-9 digits) (. digits)? (e sign? digits)?`
    private mutating func number() throws(RengaError) -> JSON {
        let start = position
        var whole = true
        _ = take("-")
        if !take("0") { try digits() }
        if take(".") {
            whole = false
            try digits()
        }
        if take("e") || take("E") {
            whole = false
            if !take("+") { _ = take("-") }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if whole, let value = Int(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw wrong("a number beyond every range ends") }
        return .number(value)
    }

    private mutating func digits() throws(RengaError) {
        let start = position
        while let byte = next, JSONParser.isDigit(byte) { position += 1 }
        guard position > start else { throw wrong("expected a digit") }
    }

    private mutating func text() throws(RengaError) -> String {
        position += 1
        var content: [UInt8] = []
        // Most texts have no escapes: what stands between two of them is taken over at once.
        var begin = position
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                let rest = bytes[begin..<position - 1]
                let text = String(validating: content.isEmpty ? rest : content + rest, as: UTF8.self)
                guard let text else { throw wrong("a text that is not UTF-8 ends") }
                return text
            case UInt8(ascii: "\\"):
                content.append(contentsOf: bytes[begin..<position - 1])
                try escape(into: &content)
                begin = position
            case 0..<0x20: throw wrong("a control character stands in a text before")
            default: break
            }
        }
        throw wrong("a text does not end")
    }

    private mutating func escape(into content: inout [UInt8]) throws(RengaError) {
        guard let byte = next else { throw wrong("a text does not end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"): content.append(contentsOf: try String(scalar()).utf8)
        default: throw wrong("an unknown escape ends")
        }
    }

    /// The scalar of `\uXXXX`, or of two of them that are a surrogate pair.
    private mutating func scalar() throws(RengaError) -> Character {
        var code = try hexadecimal()
        if (0xD800..<0xDC00).contains(code) {
            guard take("\\"), take("u") else { throw wrong("half of a surrogate pair ends") }
            let low = try hexadecimal()
            guard (0xDC00..<0xE000).contains(low) else { throw wrong("half of a surrogate pair ends") }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw wrong("half of a surrogate pair ends") }
        return Character(scalar)
    }

    private mutating func hexadecimal() throws(RengaError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw wrong("expected four hexadecimal digits")
            }
            code = code << 4 + UInt32(digit)
            position += 1
        }
        return code
    }
}
