// RemoveIdentities.swift: leaves out the layers that do nothing in inference: dropout, and operators whose numbers make them the identity.
// Not here: batch norm (FoldBatchNorm.swift). The result is for inference: trained further it has no dropout.
public import RengaNetwork

/// Removes layers whose output is their input in inference.
public enum RemoveIdentities {
    /// The network without such layers, and what went. Answers in inference are the same bits.
    public static func apply(_ network: Network) throws(RengaError) -> (network: Network, report: RewriteReport) {
        var rewriter = try NetworkRewriter(network, rewrite: "remove_identities")
        let shapes = try network.shapes(n: 1)
        for (index, node) in network.nodes.enumerated() {
            if let reason = reasonToRemove(node, shapes) {
                rewriter.note(index, .removed, reason)
                rewriter.redirect(to: node.inputs[0])
            } else {
                try rewriter.keep(index)
            }
        }
        return try rewriter.finish()
    }

    /// Why the node does nothing; nil if it does something.
    private static func reasonToRemove(_ node: Node, _ shapes: [Shape]) -> String? {
        guard let source = node.inputs.first else { return nil }
        switch node.op {
        case is Dropout: return "dropout does nothing in inference"
        case let gate as StochasticGate where gate.survivals.allSatisfy { $0 == 1 }: return "a gate that is always open"
        case is Mean where node.inputs.count == 1: return "the mean of one map"
        case is Concat where node.inputs.count == 1: return "the concatenation of one map"
        case is Flatten where shapes[source].h == 1 && shapes[source].w == 1: return "the map is flat already"
        case let slice as ChannelSlice where slice.begin == 0 && slice.count == shapes[source].c:
            return "a slice of all channels"
        case let pad as ChannelPad where pad.before == 0 && pad.after == 0: return "a pad of no channel"
        case let pool as MaxPool where pool.window.isPointwise: return "a window of one pixel"
        case let pool as AveragePool where pool.window.isPointwise: return "a window of one pixel"
        default: return nil
        }
    }
}
