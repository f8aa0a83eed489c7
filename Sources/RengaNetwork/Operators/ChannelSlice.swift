// ChannelSlice.swift: some neighbouring channels of a map: options and shape rule.
// Not here: how it runs (kernels).

/// Channels begin ..< begin + count: dst[n,h,w,i] = src[n,h,w,begin + i]. src `[N,H,W,C]`, dst `[N,H,W,count]`.
public struct ChannelSlice {
    /// First channel.
    public var begin: Int
    /// Number of channels.
    public var count: Int

    /// Makes a slice; numbers out of bounds are errors of the shape rule.
    public init(begin: Int, count: Int) {
        self.begin = begin
        self.count = count
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension ChannelSlice: Operator {
    public static let name = "channel_slice"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec("begin", .integer(0...Shape.largestExtent), default: "0", "First channel."),
        AttributeSpec("count", .integer(1...Shape.largestExtent), default: nil, "Number of channels."),
    ]

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        begin = try reader.integer("begin")
        count = try reader.integer("count")
    }

    public var encoded: Attributes { ["begin": "\(begin)", "count": "\(count)"] }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try Self.check("begin", begin, in: 0...Shape.largestExtent)
        try Self.check("count", count, in: 1...Shape.largestExtent)
        guard begin + count <= src.c else {
            throw RengaError(
                .shapeMismatch, "begin=\(begin), count=\(count) reaches channel \(begin + count - 1) of only \(src.c)")
        }
        return Shape(n: src.n, h: src.h, w: src.w, c: count)
    }
}
