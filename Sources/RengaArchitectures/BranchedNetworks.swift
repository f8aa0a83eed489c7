// BranchedNetworks.swift: the options and stages that networks of K parallel residual branches share (Zhao et al. 2016, arXiv 1611.07718).
// Not here: how the branches are joined: merge-and-run (DMRNet.swift), inception-like (InceptionLike.swift).
import RengaNetwork

/// The options of a network of parallel branches, resolved.
struct BranchedDesign {
    let frame: ResidualFrame
    /// K: branches of each block.
    let branches: Int
    /// Width of each stage before expansion.
    let widths: [Int]
    let stochasticDepth: StochasticDepth

    /// The options, with a family's own between them.
    static func attributes(_ own: [AttributeSpec] = []) -> [AttributeSpec] {
        let shared = [
            AttributeSpec(
                "branches", .integer(1...8), default: "2",
                "Branches of each block; a residual network of equal cost has about so many times the depth."),
            CommonOptions.widen, ResidualFrame.width,
        ]
        return ResidualFrame.attributes(
            depth: "56", shared + own, block: ResidualFrame.block, initialization: "he_fan_in")
            + StochasticDepth.attributes(branches: true)
    }

    /// Reads the options; `published` has the blocks of each stage for the depths known with stem=imagenet.
    init(_ options: AttributeReader, published: [Int: [Int]]) throws(RengaError) {
        frame = try ResidualFrame(options) { _ in published }
        branches = try options.integer("branches")
        widths = try frame.widths(options)
        stochasticDepth = try StochasticDepth(options, branches: true)
    }

    /// The branches H_k of a block; branch k reads `sources[k]`. isGated: whether something leads around them, so that they may close.
    func addBranches(
        _ stack: inout LayerStack, _ sources: [ValueID], _ place: BlockPlace, isGated: Bool = true
    ) throws(RengaError) -> [ValueID] {
        var residuals: [ValueID] = []
        for (number, source) in sources.enumerated() {
            residuals.append(
                try stack.scope("branch\(number + 1)") { stack throws(RengaError) in
                    let branch = try frame.branch.addPost(&stack, source, place)
                    return isGated ? try stochasticDepth.gated(&stack, branch, place, grouped: true) : branch
                })
        }
        return residuals
    }
}
