// GlobalMaxPool.swift: maximum over the whole map: shape rule.
// Not here: how it runs (kernels).

/// Maximum over all pixels of each channel. src `[N,H,W,C]`, dst `[N,1,1,C]`.
public struct GlobalMaxPool {
    /// Makes a global max pooling.
    public init() {}
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension GlobalMaxPool: PlainOperator {
    public static let name = "global_max_pool"
    public static let arity = Arity.exactly(1)

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        return Shape(n: src.n, h: 1, w: 1, c: src.c)
    }
}
