// LocalResponseNorm.swift: normalisation over neighbouring channels (Krizhevsky et al. 2012): options and shape rule.
// Not here: how it runs (kernels).

/// dst[c] = src[c] / (bias + alpha / size * sum of src[i]^2)^beta, over the channels i from c - floor((size - 1) / 2) to
/// c + ceil((size - 1) / 2) that exist, as ONNX counts them. src, dst `[N,H,W,C]`.
public struct LocalResponseNorm {
    /// Channels that are summed.
    public var size: Int
    /// Weight of the mean of squares.
    public var alpha: Double
    /// The exponent.
    public var beta: Double
    /// Added to the weighted mean.
    public var bias: Double

    /// Makes a normalisation; numbers out of bounds are errors of the shape rule.
    public init(size: Int, alpha: Double = 1e-4, beta: Double = 0.75, bias: Double = 1) {
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.bias = bias
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension LocalResponseNorm: Operator {
    public static let name = "lrn"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec("size", .integer(sizes), default: nil, "Channels that are summed."),
        AttributeSpec("alpha", .number(weights), default: "0.0001", "Weight of the mean of squares."),
        AttributeSpec("beta", .number(exponents), default: "0.75", "The exponent."),
        AttributeSpec("bias", .number(offsets), default: "1", "Added to the weighted mean of squares."),
    ]
    private static let sizes = 1...Window.largestExtent
    private static let weights = 0.0...1e6
    private static let exponents = 0.0...100.0
    // Above 0, so that a map of zeros has a result.
    private static let offsets = 1e-12...1e6

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        size = try reader.integer("size")
        alpha = try reader.number("alpha")
        beta = try reader.number("beta")
        bias = try reader.number("bias")
    }

    public var encoded: Attributes {
        var attributes = ["size": "\(size)"]
        if alpha != 1e-4 { attributes["alpha"] = "\(alpha)" }
        if beta != 0.75 { attributes["beta"] = "\(beta)" }
        if bias != 1 { attributes["bias"] = "\(bias)" }
        return attributes
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try Self.check("size", size, in: Self.sizes)
        try Self.check("alpha", alpha, in: Self.weights)
        try Self.check("beta", beta, in: Self.exponents)
        try Self.check("bias", bias, in: Self.offsets)
        return src
    }
}
