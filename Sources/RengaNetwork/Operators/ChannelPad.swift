// ChannelPad.swift: channels of zeros beside those of a map (zero-padded shortcuts): options and shape rule.
// Not here: how it runs (kernels), the pads of windows (Window.swift).

/// Zero channels before and after: src `[N,H,W,C]`, dst `[N,H,W,before + C + after]`.
public struct ChannelPad {
    /// Zero channels before those of src.
    public var before: Int
    /// Zero channels after those of src.
    public var after: Int

    /// Makes a pad; numbers out of bounds are errors of the shape rule.
    public init(before: Int = 0, after: Int = 0) {
        self.before = before
        self.after = after
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension ChannelPad: Operator {
    public static let name = "channel_pad"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec(
            "before", .integer(0...Convolution.mostChannels), default: "0", "Zero channels before the input's."),
        AttributeSpec(
            "after", .integer(0...Convolution.mostChannels), default: "0", "Zero channels after the input's."),
    ]

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        before = try reader.integer("before")
        after = try reader.integer("after")
    }

    public var encoded: Attributes {
        ["before": before, "after": after].filter { $0.value != 0 }.mapValues { "\($0)" }
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try Self.check("before", before, in: 0...Convolution.mostChannels)
        try Self.check("after", after, in: 0...Convolution.mostChannels)
        return Shape(n: src.n, h: src.h, w: src.w, c: before + src.c + after)
    }
}
