// InceptionLike.swift: networks of blocks that sum K parallel residual branches and one shortcut (DILN, "vanilla assembly"; the control of
// merge-and-run networks, Zhao et al. 2016, arXiv 1611.07718).
// Not here: branches that keep streams apart (DMRNet.swift).
public import RengaNetwork

/// Inception-like networks: x' = relu(H_1(x) + … + H_K(x) + S(x)).
public enum InceptionLike {}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension InceptionLike: Architecture {
    public static let name = "inception"
    public static let documentation =
        "Inception-like network (Zhao et al. 2016): each block sums parallel residual branches. "
        + "stem=cifar: depth 6n+2 (basic) or 9n+2 (bottleneck); stem=imagenet: depth 44."
    public static let attributes = BranchedDesign.attributes()

    public static func blueprint(_ options: AttributeReader) throws(RengaError) -> Blueprint {
        let design = try BranchedDesign(options, published: [44: [2, 2, 8, 2]])
        var stack = LayerStack()
        let begun = try design.frame.begin(&stack, width: design.widths[0])
        let features = try stack.stages(
            widths: design.widths, counts: design.frame.counts, from: begun
        ) { stack, src, place throws(RengaError) in
            let sources = Array(repeating: src, count: design.branches)
            let residuals = try design.addBranches(&stack, sources, place)
            let around = try Shortcut.project.add(
                &stack, src, channels: design.frame.channels(place), stride: place.stride, norm: true)
            let sum = try stack.add(Add(), "add", sources: residuals + [around].compactMap(\.self))
            return try stack.add(ReLU(), "relu", sum)
        }
        let logits = try stack.head(features, classes: options.integer("classes"))
        return stack.blueprint(output: logits, try options.initialization(), resolved: design.frame.resolved)
    }
}
