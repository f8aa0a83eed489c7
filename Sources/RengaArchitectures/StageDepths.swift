// StageDepths.swift: how a network's depth is shared out among its stages.
// Not here: widths (each family's own).
import RengaNetwork

/// Blocks of each stage from the depth of the whole network.
enum StageDepths {
    /// Three equal stages: depth = 3 n `layers` + 2, where `layers` counts the convolutions along one block.
    static func cifar(depth: Int, layers: Int, _ block: String) throws(RengaError) -> [Int] {
        let step = 3 * layers
        guard depth > step, (depth - 2) % step == 0 else {
            throw RengaError(
                .invalidArgument,
                "option 'depth' must be \(step)n+2 (\(step + 2), \(2 * step + 2), …) with stem=cifar and "
                    + "block=\(block), got \(depth)")
        }
        return Array(repeating: (depth - 2) / step, count: 3)
    }

    /// Four stages as published for a few depths.
    static func imagenet(depth: Int, _ known: [Int: [Int]], _ block: String) throws(RengaError) -> [Int] {
        guard !known.isEmpty else {
            throw RengaError(.invalidArgument, "option 'block' must not be \(block) with stem=imagenet")
        }
        guard let counts = known[depth] else {
            let depths = known.keys.sorted().map(String.init).joined(separator: ", ")
            throw RengaError(
                .invalidArgument,
                "option 'depth' must be one of \(depths) with stem=imagenet and block=\(block), got \(depth)")
        }
        return counts
    }

    /// The depths of He et al. 2015.
    static func ofResNet(_ branch: ResidualBranch) -> [Int: [Int]] {
        switch branch {
        case .basic: [18: [2, 2, 2, 2], 34: [3, 4, 6, 3]]
        case .bottleneck: [50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]]
        }
    }
}
