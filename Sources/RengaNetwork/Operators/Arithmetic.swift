// Arithmetic.swift: two maps combined element by element, one of which may have fewer extents: options and shape rule.
// Not here: how it runs (kernels), sums of equal maps (Add.swift: steps before them take these in), constants (Scale.swift).

/// dst = src[0] ∘ src[1] element by element. Along H, W and C an input may have extent 1 where the other has more: its one value then
/// goes with all of theirs (the `[N,1,1,C]` gates of squeeze-and-excite, `[N,H,W,1]` masks).
public struct Arithmetic {
    /// How two elements combine.
    public enum Function: String, Sendable, CaseIterable {
        /// a b.
        case multiply
        /// a + b.
        case add
        /// a - b.
        case subtract
        /// a / b.
        case divide
        /// The larger; NaN where either is.
        case maximum
        /// The smaller; NaN where either is.
        case minimum
    }

    /// How two elements combine.
    public var function: Function

    /// Makes an operator of two maps.
    public init(_ function: Function) { self.function = function }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Arithmetic: Operator {
    public static let name = "arithmetic"
    public static let arity = Arity.exactly(2)
    public static let attributes = [
        AttributeSpec(
            "function", .choice(Function.allCases.map(\.rawValue)), default: nil, "How two elements combine.")
    ]

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        function = Function(rawValue: try reader.choice("function")) ?? .multiply
    }

    public var encoded: Attributes { ["function": function.rawValue] }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        guard inputs.count == 2 else {
            throw RengaError(.invalidArgument, "\(Self.name): expected 2 inputs, got \(inputs.count)")
        }
        let (a, b) = (try inputs[0].validated("input"), try inputs[1].validated("input"))
        let dst = Shape(n: a.n, h: max(a.h, b.h), w: max(a.w, b.w), c: max(a.c, b.c))
        for src in [a, b] where src.n != dst.n || !Self.fits(src, dst) {
            throw RengaError(
                .shapeMismatch, "inputs \(a) and \(b): along H, W and C extents must be equal, or 1 in one of them")
        }
        return try dst.validated("output")
    }

    private static func fits(_ src: Shape, _ dst: Shape) -> Bool {
        [(src.h, dst.h), (src.w, dst.w), (src.c, dst.c)].allSatisfy { $0 == $1 || $0 == 1 }
    }
}
