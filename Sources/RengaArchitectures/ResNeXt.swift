// ResNeXt.swift: residual networks with grouped bottlenecks (Xie et al. 2016, arXiv 1611.05431).
// Not here: residual networks without groups (ResNet.swift).
public import RengaNetwork

/// ResNeXt: bottleneck blocks whose 3x3 convolution has groups of a given width; projections where shapes change.
public enum ResNeXt {}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension ResNeXt: Architecture {
    public static let name = "resnext"
    public static let documentation =
        "Residual network with grouped bottlenecks (Xie et al. 2016). "
        + "stem=cifar: depth 9n+2, the paper's is depth=29,groups=8,width=64; stem=imagenet: depth 50, 101 or 152 (groups=32,width=4)."
    public static let attributes =
        ResidualFrame.attributes(
            depth: "29", from: 11,
            [
                AttributeSpec(
                    "groups", .integer(1...1024), default: "8", "Groups of every 3x3 convolution (the cardinality)."),
                AttributeSpec(
                    "width", .integer(1...1024), default: "64",
                    "Channels of each group in the first stage; doubles with each stage."),
            ], block: nil, initialization: "he_fan_out") + StochasticDepth.attributes()

    public static func blueprint(_ options: AttributeReader) throws(RengaError) -> Blueprint {
        let frame = try ResidualFrame(options, only: .bottleneck, published: StageDepths.ofResNet)
        let groups = try options.integer("groups")
        let groupWidth = try options.integer("width")
        let depth = try StochasticDepth(options)
        var stack = LayerStack()
        // Both stems of the paper have 64 channels, and so has the first stage before its expansion.
        let begun = try frame.begin(&stack, width: 64)
        let features = try stack.stages(
            widths: frame.counts.indices.map { 64 << $0 }, counts: frame.counts, from: begun
        ) { stack, src, place throws(RengaError) in
            let inner = groups * groupWidth * place.width / 64
            let branch = try frame.branch.addPost(&stack, src, place, groups: groups, inner: inner)
            let residual = try depth.gated(&stack, branch, place)
            return try Shortcut.project.addPost(&stack, residual, src, stride: place.stride)
        }
        let logits = try stack.head(features, classes: options.integer("classes"))
        return stack.blueprint(output: logits, try options.initialization(), resolved: ["input": "\(frame.imageSize)"])
    }
}
