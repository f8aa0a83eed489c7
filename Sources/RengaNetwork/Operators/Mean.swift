// Mean.swift: the mean of maps (merge-and-run networks, Zhao et al. 2016): shape rule.
// Not here: how it runs (kernels), means over pixels (GlobalAveragePool.swift, AveragePool.swift).

/// Mean of K maps: dst = (src[0] + … + src[K-1]) / K, elementwise. 1 to ``Network/mostInputs`` inputs and dst, all `[N,H,W,C]`.
public struct Mean {
    /// Makes a mean.
    public init() {}
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Mean: PlainOperator {
    public static let name = "mean"
    public static let arity = Arity.atLeast(1)

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape { try Self.common(inputs) }
}
