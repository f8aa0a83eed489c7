// ConvolutionTranspose.swift: the transposed convolution (the gradient of a convolution as a layer): options, shape rule, parameters, cost.
// Not here: how it runs (the kernels of a convolution's backward pass).

/// Transposed convolution: dst[n,y,x,k] = bias[k] + sum of src[n,h,w,c] weight[r,s,k,c] where y = h stride - pad + r dilation, x alike.
///
/// src `[N,H,W,C]`, dst `[N,OH,OW,K]` with OH = (H - 1) stride - pads + extent + output_pad. weight `[R,S,K/G,C]` is that of the convolution
/// from K to C channels whose gradient it is: of G groups, inputs g C/G ..< (g + 1) C/G reach only outputs g K/G ..< (g + 1) K/G. bias `[K]`.
public struct ConvolutionTranspose {
    /// K: channels of dst.
    public var channels: Int
    /// Kernel, stride, dilation; pads are taken off dst.
    public var window: Window
    /// Rows added below dst, which see only the bias where no tap reaches them; after those that the pad takes off, fewer than the stride.
    public var outputPadH: Int
    /// Columns added on the right of dst, likewise.
    public var outputPadW: Int
    /// G: groups; divides C and K.
    public var groups: Int
    /// Whether it adds a bias.
    public var hasBias: Bool

    /// Makes a transposed convolution; numbers out of bounds are errors of the shape rule.
    public init(
        channels: Int, window: Window, outputPadH: Int = 0, outputPadW: Int = 0, groups: Int = 1, bias: Bool = true
    ) {
        self.channels = channels
        self.window = window
        self.outputPadH = outputPadH
        self.outputPadW = outputPadW
        self.groups = groups
        hasBias = bias
    }

    /// The window of the convolution whose gradient it is: rows and columns that are added to dst are taken from the pads first.
    public var mirrored: Window {
        var window = window
        window.padBottom = max(window.padBottom &- outputPadH, 0)
        window.padRight = max(window.padRight &- outputPadW, 0)
        return window
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension ConvolutionTranspose: Operator {
    public static let name = "conv_transpose"
    public static let arity = Arity.exactly(1)
    public static let attributes: [AttributeSpec] =
        [AttributeSpec("channels", .integer(1...Convolution.mostChannels), default: nil, "Channels of the output.")]
        + Window.attributes + [
            AttributeSpec("output_pad", .integer(outputPads), default: "0", "Rows and columns added to the output."),
            AttributeSpec("output_pad_h", .integer(outputPads), default: "output_pad", "Rows added below the output."),
            AttributeSpec(
                "output_pad_w", .integer(outputPads), default: "output_pad", "Columns added right of the output."),
            AttributeSpec(
                "groups", .integer(1...Convolution.mostChannels), default: "1", "Groups; divides both channel counts."),
            AttributeSpec("bias", .flag, default: "yes", "Whether a bias is added."),
        ]
    private static let outputPads = 0...Window.largestExtent

    public init(attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: Self.name)
        channels = try reader.integer("channels")
        window = try Window(reader)
        outputPadH = try reader.integer("output_pad_h")
        outputPadW = try reader.integer("output_pad_w")
        groups = try reader.integer("groups")
        hasBias = try reader.flag("bias")
    }

    public var encoded: Attributes {
        var attributes = window.encoded
        attributes["channels"] = "\(channels)"
        if outputPadH == outputPadW {
            if outputPadH != 0 { attributes["output_pad"] = "\(outputPadH)" }
        } else {
            attributes["output_pad_h"] = "\(outputPadH)"
            attributes["output_pad_w"] = "\(outputPadW)"
        }
        if groups != 1 { attributes["groups"] = "\(groups)" }
        if !hasBias { attributes["bias"] = "no" }
        return attributes
    }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try Self.checkChannels(from: src.c, to: channels, groups: groups)
        try Self.check("output_pad_h", outputPadH, in: Self.outputPads)
        try Self.check("output_pad_w", outputPadW, in: Self.outputPads)
        let window = try window.validated(Self.name)
        guard outputPadH - window.padBottom < window.strideH, outputPadW - window.padRight < window.strideW else {
            throw RengaError(
                .unsupported,
                "output_pad \(outputPadH) x \(outputPadW) beyond the pads must be smaller than the stride "
                    + "\(window.strideH) x \(window.strideW)")
        }
        let h = (src.h - 1) * window.strideH + window.extentH + outputPadH - window.padTop - window.padBottom
        let w = (src.w - 1) * window.strideW + window.extentW + outputPadW - window.padLeft - window.padRight
        guard h >= 1, w >= 1 else {
            throw RengaError(.shapeMismatch, "the pads leave nothing of the output: \(h) x \(w)")
        }
        return try Shape(n: src.n, h: h, w: w, c: channels).validated("output")
    }

    public func parameters(_ inputs: [Shape]) throws(RengaError) -> [ParameterSpec] {
        _ = try outputShape(inputs)
        let dimensions = [window.kernelH, window.kernelW, channels / groups, inputs[0].c]
        let weight = try ParameterSpec("weight", .weight, dimensions).validated()
        return hasBias ? [weight, ParameterSpec("bias", .bias, [channels])] : [weight]
    }

    public func macs(_ inputs: [Shape]) -> Int {
        guard (try? outputShape(inputs)) != nil, let src = inputs.first else { return 0 }
        return [src.n, src.h, src.w, window.kernelH, window.kernelW, channels / groups, src.c].saturatingProduct
    }
}
