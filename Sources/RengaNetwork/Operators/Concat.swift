// Concat.swift: maps side by side along the channels: shape rule.
// Not here: how it runs (kernels).

/// Concatenation along the channels: src[i] `[N,H,W,C_i]`, dst `[N,H,W,C_0 + C_1 + …]`. 1 to ``Network/mostInputs`` inputs.
public struct Concat {
    /// Makes a concatenation.
    public init() {}
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Concat: PlainOperator {
    public static let name = "concat"
    public static let arity = Arity.atLeast(1)

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let maps = inputs.map { Shape(n: $0.n, h: $0.h, w: $0.w, c: 1) }
        let map = try Self.common(maps)
        return Shape(n: map.n, h: map.h, w: map.w, c: inputs.map(\.c).saturatingSum)
    }
}
