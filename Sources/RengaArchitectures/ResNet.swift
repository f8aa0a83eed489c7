// ResNet.swift: residual networks (He et al. 2015, arXiv 1512.03385) and their pre-activation form (He et al. 2016, arXiv 1603.05027);
// wide ones by `widen` (Zagoruyko and Komodakis 2016, with a stem as wide as the first stage).
// Not here: branches and shortcuts (ResidualBlocks.swift), other assemblies of the same branches.
public import RengaNetwork

/// Residual networks: x' = relu(H(x) + S(x)), or x' = H(relu(BN(x))) + S(x) with order=pre.
public enum ResNet {}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension ResNet: Architecture {
    public static let name = "resnet"
    public static let documentation =
        "Residual network (He et al. 2015; order=pre: 2016). "
        + "stem=cifar: depth 6n+2 (basic) or 9n+2 (bottleneck); stem=imagenet: depth 18, 34, 50, 101, 152, "
        + "or 98 (the control of merge-and-run networks, IJCAI 2018: no shortcut where channels change, bare stem)."
    public static let attributes =
        ResidualFrame.attributes(
            depth: "20",
            [
                CommonOptions.widen, ResidualFrame.width,
                AttributeSpec(
                    "order", .choice(["post", "pre"]), default: "post", "Activation after the sum or before the branch."
                ),
                Shortcut.attribute("pad with stem=cifar, project with stem=imagenet, none for depth=98"),
            ],
            block:
                "Two 3x3 convolutions, or 1x1, 3x3, 1x1; auto: bottleneck for the ImageNet depths from 50, else basic.",
            initialization: "he_fan_out")
        + [AttributeSpec("zero_init_residual", .flag, default: "no", "Whether every branch begins as zero.")]
        + StochasticDepth.attributes()

    public static func blueprint(_ options: AttributeReader) throws(RengaError) -> Blueprint {
        let design = try ResNetDesign(options)
        var stack = LayerStack()
        let begun = try design.frame.begin(
            &stack, width: design.widths[0], small: design.isPre ? .convolution : .activation,
            large: design.isBare ? .convolution : .activation)
        let features = try stack.stages(
            widths: design.widths, counts: design.frame.counts, from: begun
        ) { stack, src, place throws(RengaError) in
            try design.addBlock(&stack, src, place)
        }
        let last = design.isPre ? try stack.normRelu("_last", features) : features
        let logits = try stack.head(last, classes: options.integer("classes"))
        return stack.blueprint(output: logits, try options.initialization(), resolved: design.resolved)
    }
}

/// The options, resolved.
private struct ResNetDesign {
    let frame: ResidualFrame
    let shortcut: Shortcut
    let stochasticDepth: StochasticDepth
    let isPre: Bool
    let beginsAtZero: Bool
    /// Width of each stage before expansion.
    let widths: [Int]

    init(_ options: AttributeReader) throws(RengaError) {
        frame = try ResidualFrame(options, bottleneckFrom: 50) { branch in
            let known = StageDepths.ofResNet(branch)
            return branch == .bottleneck ? known.merging([98: [2, 4, 22, 4]]) { $1 } : known
        }
        stochasticDepth = try StochasticDepth(options)
        isPre = try options.choice("order") == "pre"
        beginsAtZero = try options.flag("zero_init_residual")
        widths = try frame.widths(options)
        let usual: Shortcut = frame.stem == .cifar ? .pad : frame.depth == 98 ? .none : .project
        shortcut = try Shortcut(options) ?? usual
    }

    /// The form of the IJCAI version of merge-and-run networks.
    var isBare: Bool { frame.stem == .imagenet && frame.depth == 98 }

    var resolved: Attributes { frame.resolved.merging(["shortcut": shortcut.rawValue]) { $1 } }

    func addBlock(_ stack: inout LayerStack, _ src: ValueID, _ place: BlockPlace) throws(RengaError) -> ValueID {
        if beginsAtZero { frame.branch.beginAtZero(&stack, post: !isPre) }
        if isPre { return try addPreBlock(&stack, src, place) }
        let branch = try frame.branch.addPost(&stack, src, place)
        let residual = try gated(&stack, branch, src, place)
        return try shortcut.addPost(&stack, residual, src, stride: place.stride)
    }

    /// A branch that nothing leads around stays open.
    private func gated(
        _ stack: inout LayerStack, _ branch: ValueID, _ src: ValueID, _ place: BlockPlace
    ) throws(RengaError) -> ValueID {
        let present = try stack.channels(src)
        let channels = try stack.channels(branch)
        let changes = place.stride != 1 || present != channels
        return shortcut == .none && changes ? branch : try stochasticDepth.gated(&stack, branch, place)
    }

    /// A projection reads the activated map, as in the paper's code; the zero-padded shortcut the map itself.
    private func addPreBlock(
        _ stack: inout LayerStack, _ src: ValueID, _ place: BlockPlace
    ) throws(RengaError) -> ValueID {
        // The stem of large images ends activated already.
        let activated = place.isFirst && frame.stem == .imagenet && !isBare ? src : try stack.normRelu("1", src)
        let residual = try gated(&stack, frame.branch.addPre(&stack, activated, place), src, place)
        let channels = frame.channels(place)
        let present = try stack.channels(src)
        let changes = place.stride != 1 || present != channels
        let around = try shortcut.add(
            &stack, shortcut == .project && changes ? activated : src, channels: channels, stride: place.stride,
            norm: false)
        return try around.map { around throws(RengaError) in try stack.add(Add(), "add", residual, around) } ?? residual
    }
}
