// Softmax.swift: softmax over the channels, rows or columns, or its logarithm: options and shape rule.
// Not here: how it runs (kernels), the cross-entropy loss (RengaTraining takes logits, not probabilities).

/// Softmax along one axis, by default over C at each pixel: dst[c] = exp(src[c]) / sum over i of exp(src[i]), or the logarithm of it.
/// src, dst `[N,H,W,C]`.
public struct Softmax {
    /// An axis of a map.
    public enum Axis: String, CaseIterable, Sendable {
        /// The channels of each pixel.
        case c
        /// The rows of each column and channel.
        case h
        /// The columns of each row and channel.
        case w
    }

    /// Whether the result is the logarithm of the softmax.
    public var isLog: Bool
    /// The axis whose numbers sum to 1.
    public var axis: Axis

    /// Makes a softmax.
    public init(log: Bool = false, axis: Axis = .c) { (isLog, self.axis) = (log, axis) }

    /// True where the result is a probability for each channel: what a classifier ends in.
    public var isOverChannels: Bool { axis == .c }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Softmax: Operator {
    public static let name = "softmax"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec("log", .flag, default: "no", "Whether the result is the logarithm of the softmax."),
        AttributeSpec(
            "axis", .choice(Axis.allCases.map(\.rawValue)), default: Axis.c.rawValue,
            "The axis whose numbers sum to 1: channels, rows or columns."),
    ]

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        isLog = try reader.flag("log")
        axis = Axis(rawValue: try reader.choice("axis")) ?? .c
    }

    public var encoded: Attributes {
        var attributes: Attributes = isLog ? ["log": "yes"] : [:]
        if axis != .c { attributes["axis"] = axis.rawValue }
        return attributes
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape { try Self.single(inputs) }
}
