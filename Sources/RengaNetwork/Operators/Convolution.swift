// Convolution.swift: the convolution as papers define it (a cross-correlation): options, shape rule, parameters, cost.
// Not here: how it runs (kernels), its folding with batch norm (RengaRewrites).

/// Convolution: dst[n,oh,ow,k] = bias[k] + sum over r,s,c of src[n, oh stride + r dilation - pad, …, c] weight[r,s,c,k].
///
/// src `[N,H,W,C]`, weight `[R,S,C/G,K]`, bias `[K]`, dst `[N,OH,OW,K]`. With G groups, outputs g K/G ..< (g + 1) K/G read only inputs
/// g C/G ..< (g + 1) C/G.
public struct Convolution {
    /// K: channels of dst.
    public var channels: Int
    /// Kernel, stride, pads, dilation.
    public var window: Window
    /// G: groups; divides C and K.
    public var groups: Int
    /// Whether it adds a bias.
    public var hasBias: Bool

    /// Most channels of dst.
    public static let mostChannels = 1 << 20

    /// Makes a convolution; numbers out of bounds are errors of the shape rule.
    public init(channels: Int, window: Window, groups: Int = 1, bias: Bool = true) {
        self.channels = channels
        self.window = window
        self.groups = groups
        hasBias = bias
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Convolution: Operator {
    public static let name = "convolution"
    public static let arity = Arity.exactly(1)
    public static let attributes: [AttributeSpec] =
        [AttributeSpec("channels", .integer(1...mostChannels), default: nil, "Channels of the output.")]
        + Window.attributes + [
            AttributeSpec("groups", .integer(1...mostChannels), default: "1", "Groups; divides both channel counts."),
            AttributeSpec("bias", .flag, default: "yes", "Whether a bias is added."),
        ]

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        channels = try reader.integer("channels")
        window = try Window(reader)
        groups = try reader.integer("groups")
        hasBias = try reader.flag("bias")
    }

    public var encoded: Attributes {
        var attributes = window.encoded
        attributes["channels"] = "\(channels)"
        if groups != 1 { attributes["groups"] = "\(groups)" }
        if !hasBias { attributes["bias"] = "no" }
        return attributes
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try Self.checkChannels(from: src.c, to: channels, groups: groups)
        let places = try window.validated(Self.name).places(h: src.h, w: src.w)
        return Shape(n: src.n, h: places.h, w: places.w, c: channels)
    }

    public func parameters(_ inputs: [Shape]) throws(RengaError) -> [ParameterSpec] {
        _ = try outputShape(inputs)
        let dimensions = [window.kernelH, window.kernelW, inputs[0].c / groups, channels]
        let weight = try ParameterSpec("weight", .weight, dimensions).validated()
        return hasBias ? [weight, ParameterSpec("bias", .bias, [channels])] : [weight]
    }

    public func macs(_ inputs: [Shape]) -> Int {
        guard let dst = try? outputShape(inputs) else { return 0 }
        return [dst.n, dst.h, dst.w, window.kernelH, window.kernelW, inputs[0].c / groups, channels].saturatingProduct
    }
}

extension Operator {
    /// Channel counts and groups of a convolution, transposed or not: within bounds, and divided by the groups.
    static func checkChannels(from src: Int, to channels: Int, groups: Int) throws(RengaError) {
        try check("channels", channels, in: 1...Convolution.mostChannels)
        try check("groups", groups, in: 1...Convolution.mostChannels)
        guard src % groups == 0, channels % groups == 0 else {
            throw RengaError(
                .shapeMismatch, "groups=\(groups) must divide the input's channels \(src) and channels=\(channels)")
        }
    }
}
