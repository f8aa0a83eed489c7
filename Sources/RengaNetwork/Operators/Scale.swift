// Scale.swift: a factor and an offset for each channel: what constants beside a map become on import: options, shape rule, parameters.
// Not here: how it runs (kernels), statistics (BatchNorm.swift), its folding into a convolution (RengaRewrites).

/// dst = gamma[c] src + beta[c]. src, dst `[N,H,W,C]`; gamma, beta `[C]`, which learn unless it is frozen.
public struct Scale {
    /// Whether training leaves gamma and beta as they are.
    public var isFrozen: Bool

    /// Makes a scale.
    public init(frozen: Bool = false) { isFrozen = frozen }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Scale: Operator {
    public static let name = "scale"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec("frozen", .flag, default: "no", "Whether training leaves gamma and beta as they are.")
    ]

    public init(attributes: Attributes) throws(RengaError) {
        isFrozen = try AttributeReader(attributes, Self.attributes, owner: Self.name).flag("frozen")
    }

    public var encoded: Attributes { isFrozen ? ["frozen": "yes"] : [:] }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape { try Self.single(inputs) }

    public func parameters(_ inputs: [Shape]) throws(RengaError) -> [ParameterSpec] {
        let c = try outputShape(inputs).c
        return [ParameterSpec("gamma", .gamma, [c]), ParameterSpec("beta", .beta, [c])]
    }
}
