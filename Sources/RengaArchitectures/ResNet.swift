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
        + "stem=cifar: depth 6n+2 (basic) or 9n+2 (bottleneck); stem=imagenet: depth 18, 34, 50, 101 or 152."
    public static let attributes = [
        AttributeSpec("depth", .integer(8...2000), default: "20", "Layers with weights along the longest path."),
        CommonOptions.widen,
        AttributeSpec(
            "block", .choice(["auto"] + ResidualBranch.allCases.map(\.rawValue)), default: "auto",
            "Two 3x3 convolutions, or 1x1, 3x3, 1x1; auto: bottleneck for the ImageNet depths from 50, else basic."),
        AttributeSpec(
            "order", .choice(["post", "pre"]), default: "post", "Activation after the sum or before the branch."),
        AttributeSpec(
            "shortcut", .choice(["auto"] + Shortcut.allCases.map(\.rawValue)), default: "auto",
            "Where shapes change: subsampled with zero channels, or a 1x1 convolution; "
                + "auto: pad with stem=cifar, project with stem=imagenet."),
        Stem.attribute,
        CommonOptions.classes,
        Stem.input,
        CommonOptions.initialization("he_fan_out"),
        AttributeSpec("zero_init_residual", .flag, default: "no", "Whether every branch begins as zero."),
    ]

    public static func blueprint(_ options: AttributeReader) throws(RengaError) -> Blueprint {
        let design = try ResNetDesign(options)
        let size = try design.stem.imageSize(options)
        var stack = LayerStack()
        let image = try stack.input(size)
        let begun = try design.addStem(&stack, image)
        let features = try stack.stages(
            widths: design.widths, counts: design.counts, from: begun
        ) { stack, src, place throws(RengaError) in
            try design.addBlock(&stack, src, place)
        }
        let last = design.isPre ? try stack.normRelu("_last", features) : features
        let logits = try stack.head(last, classes: options.integer("classes"))
        let resolved = [
            "input": "\(size)", "block": design.branch.rawValue, "shortcut": design.shortcut.rawValue,
        ]
        return stack.blueprint(output: logits, try options.initialization(), resolved: resolved)
    }
}

/// The options, resolved.
private struct ResNetDesign {
    let stem: Stem
    let branch: ResidualBranch
    let shortcut: Shortcut
    let isPre: Bool
    let beginsAtZero: Bool
    /// Blocks of each stage.
    let counts: [Int]
    /// Width of each stage before expansion.
    let widths: [Int]

    init(_ options: AttributeReader) throws(RengaError) {
        stem = try Stem(options)
        let depth = try options.integer("depth")
        branch =
            ResidualBranch(rawValue: try options.choice("block"))
            ?? (stem == .imagenet && depth >= 50 ? .bottleneck : .basic)
        shortcut = Shortcut(rawValue: try options.choice("shortcut")) ?? (stem == .imagenet ? .project : .pad)
        isPre = try options.choice("order") == "pre"
        beginsAtZero = try options.flag("zero_init_residual")
        let widen = try options.integer("widen")
        switch stem {
        case .cifar:
            counts = try StageDepths.cifar(depth: depth, layers: branch.layers, branch.rawValue)
            widths = [16, 32, 64].map { $0 * widen }
        case .imagenet:
            counts = try StageDepths.imagenet(depth: depth, branch)
            widths = [64, 128, 256, 512].map { $0 * widen }
        }
    }

    func addStem(_ stack: inout LayerStack, _ image: ValueID) throws(RengaError) -> ValueID {
        switch stem {
        case .cifar: try stack.smallStem(image, widths[0], ends: isPre ? .convolution : .activation)
        case .imagenet: try stack.largeStem(image, widths[0], ends: .activation)
        }
    }

    func addBlock(_ stack: inout LayerStack, _ src: ValueID, _ place: BlockPlace) throws(RengaError) -> ValueID {
        if beginsAtZero { branch.beginAtZero(&stack, post: !isPre) }
        return isPre ? try addPreBlock(&stack, src, place) : try addPostBlock(&stack, src, place)
    }

    private func addPostBlock(
        _ stack: inout LayerStack, _ src: ValueID, _ place: BlockPlace
    ) throws(RengaError) -> ValueID {
        let residual = try branch.addPost(&stack, src, place)
        let around = try shortcut.add(
            &stack, src, channels: place.width * branch.expansion, stride: place.stride, norm: true)
        let sum = try stack.add(Add(), "add", residual, around)
        return try stack.add(ReLU(), "relu", sum)
    }

    /// A projection reads the activated map, as in the paper's code; the zero-padded shortcut the map itself.
    private func addPreBlock(
        _ stack: inout LayerStack, _ src: ValueID, _ place: BlockPlace
    ) throws(RengaError) -> ValueID {
        // The stem of large images ends activated already.
        let activated = place.isFirst && stem == .imagenet ? src : try stack.normRelu("1", src)
        let residual = try branch.addPre(&stack, activated, place)
        let channels = place.width * branch.expansion
        let present = try stack.channels(src)
        let changes = place.stride != 1 || present != channels
        let around = try shortcut.add(
            &stack, shortcut == .project && changes ? activated : src, channels: channels, stride: place.stride,
            norm: false)
        return try stack.add(Add(), "add", residual, around)
    }
}
