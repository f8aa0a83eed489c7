// Pad.swift: rows, columns and channels added around a map, or taken off it: options and shape rule.
// Not here: how it runs (kernels), zero channels alone (ChannelPad.swift), the pads of windows (Window.swift).

/// A map with more or, where a number is negative, fewer rows, columns and channels: src `[N,H,W,C]`,
/// dst `[N,top + H + bottom,left + W + right,before + C + after]`.
public struct Pad {
    /// What stands in the places that are added.
    public enum Mode: String, Sendable, CaseIterable {
        /// ``Pad/value``.
        case constant
        /// The map mirrored at its first and last element, which are not repeated.
        case reflect
        /// The first or last element.
        case edge
        /// The map from its other end on.
        case wrap
    }

    /// Places added (or taken off) at the two ends of an axis.
    public struct Ends: Sendable, Equatable {
        /// Before the first.
        public var before: Int
        /// Behind the last.
        public var after: Int

        /// Names both.
        public init(_ before: Int = 0, _ after: Int = 0) { (self.before, self.after) = (before, after) }
    }

    /// Rows.
    public var h: Ends
    /// Columns.
    public var w: Ends
    /// Channels.
    public var c: Ends
    /// What stands in the places that are added.
    public var mode: Mode
    /// The constant.
    public var value: Double

    /// Makes a pad; numbers out of bounds are errors of the shape rule.
    public init(h: Ends = Ends(), w: Ends = Ends(), c: Ends = Ends(), mode: Mode = .constant, value: Double = 0) {
        (self.h, self.w, self.c) = (h, w, c)
        self.mode = mode
        self.value = value
    }

    /// Where on an axis of `size` elements the element at `place` of the padded one comes from; nil: from nowhere, it is the constant.
    public func source(of place: Int, _ ends: Ends, size: Int) -> Int? {
        let at = place - ends.before
        if (0..<size).contains(at) { return at }
        switch mode {
        case .constant: return nil
        case .edge: return at < 0 ? 0 : size - 1
        case .wrap: return Self.remainder(at, size)
        case .reflect:
            let period = max(2 * (size - 1), 1)
            let within = Self.remainder(at, period)
            return within < size ? within : period - within
        }
    }

    private static func remainder(_ value: Int, _ period: Int) -> Int { (value % period + period) % period }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Pad: Operator {
    public static let name = "pad"
    public static let arity = Arity.exactly(1)
    public static let attributes: [AttributeSpec] =
        [
            ("top", "Rows added above"), ("left", "Columns added on the left"), ("bottom", "Rows added below"),
            ("right", "Columns added on the right"), ("before", "Channels added before the input's"),
            ("after", "Channels added after the input's"),
        ].map { AttributeSpec($0, .integer(places), default: "0", "\($1); negative: taken off.") } + [
            AttributeSpec(
                "mode", .choice(Mode.allCases.map(\.rawValue)), default: Mode.constant.rawValue,
                "What is added: a constant, the mirrored map, its edge, or the map from its other end."),
            AttributeSpec("value", .number(values), default: "0", "The constant."),
        ]
    private static let places = -Convolution.mostChannels...Convolution.mostChannels
    private static let values = -Activation.largestNumber...Activation.largestNumber

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        h = Ends(try reader.integer("top"), try reader.integer("bottom"))
        w = Ends(try reader.integer("left"), try reader.integer("right"))
        c = Ends(try reader.integer("before"), try reader.integer("after"))
        mode = Mode(rawValue: try reader.choice("mode")) ?? .constant
        value = try reader.number("value")
    }

    public var encoded: Attributes {
        var attributes = named.filter { $0.value != 0 }.mapValues { "\($0)" }
        if mode != .constant { attributes["mode"] = mode.rawValue }
        if value != 0 { attributes["value"] = "\(value)" }
        return attributes
    }

    private var named: [String: Int] {
        ["top": h.before, "left": w.before, "bottom": h.after, "right": w.after, "before": c.before, "after": c.after]
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        for (name, value) in named { try Self.check(name, value, in: Self.places) }
        try Self.check("value", value, in: Self.values)
        let dst = Shape(
            n: src.n, h: h.before + src.h + h.after, w: w.before + src.w + w.after, c: c.before + src.c + c.after)
        guard min(dst.h, dst.w, dst.c) >= 1 else {
            throw RengaError(.shapeMismatch, "negative pads leave nothing of the input \(src)")
        }
        return try dst.validated("output")
    }
}
