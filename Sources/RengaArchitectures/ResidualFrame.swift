// ResidualFrame.swift: what all families of residual blocks share: their options, and what follows from them: stem, blocks, stages.
// Not here: what a family does with its blocks (one file each), the layers themselves (LayerStack.swift, ResidualBlocks.swift).
import RengaNetwork

/// Stem, branches and stages of a residual family, from its options.
struct ResidualFrame {
    let stem: Stem
    let branch: ResidualBranch
    let depth: Int
    let imageSize: ImageSize
    /// Blocks of each stage.
    let counts: [Int]
    /// Channels of the first stage before widening and expansion.
    let width: Int

    /// The options that the families share, with a family's own between them.
    /// block: what says which branches there are; nil = the family has one kind only.
    static func attributes(
        depth: String, from leastDepth: Int = 8, _ own: [AttributeSpec], block: String?, initialization: String
    ) -> [AttributeSpec] {
        let words = ["auto"] + ResidualBranch.allCases.map(\.rawValue)
        return [AttributeSpec("depth", .integer(leastDepth...2000), default: depth, "Layers along the longest path.")]
            + own + (block.map { [AttributeSpec("block", .choice(words), default: "auto", $0)] } ?? [])
            + [Stem.attribute, CommonOptions.classes, Stem.input, CommonOptions.initialization(initialization)]
    }

    /// What "block" says in most families.
    static let block =
        "Branches of two 3x3 convolutions, or of 1x1, 3x3, 1x1; auto: bottleneck with stem=imagenet, else basic."

    /// So many channels may a map have at most: filters between two such maps still have a size.
    static let mostChannels = Convolution.mostChannels / 4

    /// Channels of the first stage.
    static let width = AttributeSpec(
        "width", .integer(1...4096), default: "16",
        "Channels of the first stage before any widening and expansion; 64 with stem=imagenet.")

    /// Reads the options. `published`: the blocks of each stage for the depths known with stem=imagenet.
    /// `bottleneckFrom`: the depth from which block=auto means bottleneck with stem=imagenet.
    init(
        _ options: AttributeReader, only: ResidualBranch? = nil, bottleneckFrom: Int = 0,
        published: (ResidualBranch) -> [Int: [Int]]
    ) throws(RengaError) {
        stem = try Stem(options)
        depth = try options.integer("depth")
        imageSize = try stem.imageSize(options)
        let automatic: ResidualBranch = stem == .imagenet && depth >= bottleneckFrom ? .bottleneck : .basic
        if let only {
            branch = only
        } else {
            branch = ResidualBranch(rawValue: try options.choice("block")) ?? automatic
        }
        switch stem {
        case .cifar: counts = try StageDepths.cifar(depth: depth, layers: branch.layers, branch.rawValue)
        case .imagenet: counts = try StageDepths.imagenet(depth: depth, published(branch), branch.rawValue)
        }
        width = stem == .imagenet && !options.isGiven("width") ? 64 : try options.integer("width")
    }

    /// Options whose default depends on others.
    var resolved: Attributes { ["input": "\(imageSize)", "block": branch.rawValue, "width": "\(width)"] }

    /// Channels of the maps around a block.
    func channels(_ place: BlockPlace) -> Int { place.width * branch.expansion }

    /// Widths that double from stage to stage, before expansion, by the option "widen".
    func widths(_ options: AttributeReader) throws(RengaError) -> [Int] {
        let widen = try options.integer("widen")
        let last = (width * widen) << (counts.count - 1) * branch.expansion
        guard last <= ResidualFrame.mostChannels else {
            throw RengaError(
                .invalidArgument,
                "options 'width'=\(width) and 'widen'=\(widen) make \(last) channels in the last stage; "
                    + "at most \(ResidualFrame.mostChannels) are possible")
        }
        return counts.indices.map { (width * widen) << $0 }
    }

    /// Adds the input and the stem.
    func begin(
        _ stack: inout LayerStack, width: Int, small: StemEnd = .activation, large: StemEnd = .activation
    ) throws(RengaError) -> ValueID {
        let image = try stack.input(imageSize)
        return switch stem {
        case .cifar: try stack.smallStem(image, width, ends: small)
        case .imagenet: try stack.largeStem(image, width, ends: large)
        }
    }
}
