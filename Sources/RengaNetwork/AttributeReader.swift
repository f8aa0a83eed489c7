// AttributeReader.swift: options in text form against their specifications: every wrong one gives a sentence that names it.
// Not here: the meaning of any option, and conditions between two of them (the reader of the options checks those).

/// The size of one image, as an option gives it: "32x32x3" is 32 rows, 32 columns, 3 channels.
public struct ImageSize: Sendable, Equatable, CustomStringConvertible {
    /// Rows.
    public let h: Int
    /// Columns.
    public let w: Int
    /// Channels.
    public let c: Int

    /// Names the three extents.
    public init(h: Int, w: Int, c: Int) {
        self.h = h
        self.w = w
        self.c = c
    }

    /// "HxWxC", as an option is written.
    public var description: String { "\(h)x\(w)x\(c)" }
}

/// Reads options by name after checking that each given one is known, well-formed and within its bounds.
public struct AttributeReader: Sendable {
    private let owner: String
    private let given: Attributes
    private let specs: [AttributeSpec]

    /// Checks `attributes` against `specs`; `owner` ("convolution", "resnet") begins every error's sentence.
    public init(_ attributes: Attributes, _ specs: [AttributeSpec], owner: String) throws(RengaError) {
        self.owner = owner
        given = attributes
        self.specs = specs
        for name in attributes.keys.sorted() {
            guard let spec = specs.first(where: { $0.name == name }), let text = attributes[name] else {
                let known = specs.map(\.name)
                throw RengaError(
                    .notFound,
                    "\(owner): unknown option '\(name.prefix(80))'; "
                        + (known.isEmpty ? "it has no options" : "known: \(known.joined(separator: ", "))"))
            }
            guard AttributeValue(text, spec.kind) != nil else {
                throw RengaError(
                    .invalidArgument,
                    "\(owner): option '\(name)' must be \(spec.kind.words), got '\(text.prefix(80))'")
            }
        }
    }

    /// Whether the caller gave this option, rather than leaving it at its default.
    public func isGiven(_ name: String) -> Bool { given[name] != nil }

    /// All options that have a value, given or default, in text form.
    public var effective: Attributes {
        var effective: Attributes = [:]
        for spec in specs { effective[spec.name] = text(spec.name)?.text }
        return effective
    }

    /// The value of an integer option.
    public func integer(_ name: String) throws(RengaError) -> Int {
        guard case .integer(let value) = try value(name) else { throw wrongKind(name) }
        return value
    }

    /// The value of a number option.
    public func number(_ name: String) throws(RengaError) -> Double {
        guard case .number(let value) = try value(name) else { throw wrongKind(name) }
        return value
    }

    /// The value of a flag option.
    public func flag(_ name: String) throws(RengaError) -> Bool {
        guard case .flag(let value) = try value(name) else { throw wrongKind(name) }
        return value
    }

    /// The value of a choice option.
    public func choice(_ name: String) throws(RengaError) -> String {
        guard case .choice(let value) = try value(name) else { throw wrongKind(name) }
        return value
    }

    /// The value of a size option.
    public func size(_ name: String) throws(RengaError) -> ImageSize {
        guard case .size(let value) = try value(name) else { throw wrongKind(name) }
        return value
    }

    /// The value of an option of several numbers.
    public func numbers(_ name: String) throws(RengaError) -> [Double] {
        guard case .numbers(let value) = try value(name) else { throw wrongKind(name) }
        return value
    }

    private func value(_ name: String) throws(RengaError) -> AttributeValue {
        guard let (text, spec) = text(name) else {
            let words = specs.first { $0.name == name }?.kind.words ?? "unknown"
            throw RengaError(.invalidArgument, "\(owner): option '\(name)' must be given (\(words))")
        }
        guard let value = AttributeValue(text, spec.kind) else { throw wrongKind(name) }
        return value
    }

    /// The given text, else the default, else what the option has that the default names; nil where nothing is given.
    private func text(_ name: String) -> (text: String, spec: AttributeSpec)? {
        var name = name
        // Each hop leads to another specification, so there are at most as many as there are specifications.
        for _ in specs.indices {
            guard let spec = specs.first(where: { $0.name == name }), let text = given[name] ?? spec.defaultText else {
                return nil
            }
            guard AttributeValue(text, spec.kind) == nil else { return (text, spec) }
            name = text
        }
        return nil
    }

    private func wrongKind(_ name: String) -> RengaError {
        RengaError(.internalFault, "\(owner) reads its option '\(name)' as what it is not")
    }
}

/// A parsed option.
private enum AttributeValue {
    case integer(Int)
    case number(Double)
    case flag(Bool)
    case choice(String)
    case size(ImageSize)
    case numbers([Double])

    /// Parses `text` as `kind`; nil if malformed or out of bounds.
    init?(_ text: String, _ kind: AttributeKind) {
        switch kind {
        case .integer(let bounds):
            guard let value = Int(text), bounds.contains(value) else { return nil }
            self = .integer(value)
        case .number(let bounds):
            guard let value = Double(text), value.isFinite, bounds.contains(value) else { return nil }
            self = .number(value)
        case .flag:
            switch text {
            case "yes", "true", "1": self = .flag(true)
            case "no", "false", "0": self = .flag(false)
            default: return nil
            }
        case .choice(let words):
            guard words.contains(text) else { return nil }
            self = .choice(text)
        case .size:
            let parts = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count == 3, let h = parts[0], let w = parts[1], let c = parts[2] else { return nil }
            guard [h, w, c].allSatisfy(AttributeKind.sizeExtents.contains) else { return nil }
            self = .size(ImageSize(h: h, w: w, c: c))
        case .numbers(let counts):
            let values = text.split { $0 == " " || $0 == ";" }.map { Double($0) }
            let known = values.compactMap(\.self).filter { $0.magnitude <= AttributeKind.largestOfNumbers }
            guard known.count == values.count, counts.contains(known.count) else { return nil }
            self = .numbers(known)
        }
    }
}

extension AttributeKind {
    /// What each extent of a size may be.
    static let sizeExtents = 1...(1 << 20)
    /// How large each of several numbers may be.
    static let largestOfNumbers = 1e6

    /// "a whole number in 1...4096": the end of "must be …".
    var words: String {
        switch self {
        case .integer(let bounds): "a whole number in \(bounds.lowerBound)...\(bounds.upperBound)"
        case .number(let bounds): "a number in \(bounds.lowerBound)...\(bounds.upperBound)"
        case .flag: "yes or no"
        case .choice(let words): "one of \(words.joined(separator: ", "))"
        case .size: "a size HxWxC with extents in \(Self.sizeExtents.lowerBound)...\(Self.sizeExtents.upperBound)"
        case .numbers(let counts):
            "\(counts.lowerBound) to \(counts.upperBound) numbers of at most \(Int(Self.largestOfNumbers)), separated by spaces or ;"
        }
    }
}

extension Attributes {
    /// Parses "kernel=3,stride=2"; spaces around names and values do not count, "" is no attribute at all.
    public init(text: String) throws(RengaError) {
        self.init()
        let entries = text.split(separator: ",", omittingEmptySubsequences: false)
        if entries.count == 1, entries[0].allSatisfy({ $0 == " " }) { return }
        for entry in entries {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = Self.trimmed(parts[0])
            guard parts.count == 2, !name.isEmpty else {
                throw RengaError(
                    .invalidArgument, "options must be written name=value,name=value; got '\(entry.prefix(80))'")
            }
            guard updateValue(Self.trimmed(parts[1]), forKey: name) == nil else {
                throw RengaError(.invalidArgument, "option '\(name.prefix(80))' is given twice")
            }
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
