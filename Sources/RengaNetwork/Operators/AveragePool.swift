// AveragePool.swift: mean over a sliding window: options and shape rule.
// Not here: how it runs (kernels), the mean over the whole map (GlobalAveragePool.swift).

/// Mean over each window. src `[N,H,W,C]`, dst `[N,OH,OW,C]`.
///
/// The divisor counts the pad or does not (`count_include_pad`); positions that ceil mode adds beyond the pad never count, as in PyTorch.
public struct AveragePool {
    /// Kernel, stride, pads, dilation.
    public var window: Window
    /// Whether a last window that runs over the padded edge counts, if it starts inside the map or the pad before it (as PyTorch).
    public var ceilMode: Bool
    /// Whether the divisor counts the pad.
    public var countIncludePad: Bool

    /// Makes an average pooling; numbers out of bounds are errors of the shape rule.
    public init(window: Window, ceilMode: Bool = false, countIncludePad: Bool = true) {
        self.window = window
        self.ceilMode = ceilMode
        self.countIncludePad = countIncludePad
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension AveragePool: Operator {
    public static let name = "average_pool"
    public static let arity = Arity.exactly(1)
    public static let attributes =
        Window.attributes + [
            AttributeSpec("ceil_mode", .flag, default: "no", "Whether a last window that only partly fits counts."),
            AttributeSpec("count_include_pad", .flag, default: "yes", "Whether the divisor counts the pad."),
        ]

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        window = try Window(reader)
        ceilMode = try reader.flag("ceil_mode")
        countIncludePad = try reader.flag("count_include_pad")
    }

    public var encoded: Attributes {
        var attributes = window.encoded
        if ceilMode { attributes["ceil_mode"] = "yes" }
        if !countIncludePad { attributes["count_include_pad"] = "no" }
        return attributes
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try window.validated(Self.name).checkEveryPlaceSees(h: src.h, w: src.w)
        let places = try window.places(h: src.h, w: src.w, ceilMode ? .ceiling : .floor)
        return Shape(n: src.n, h: places.h, w: places.w, c: src.c)
    }
}
