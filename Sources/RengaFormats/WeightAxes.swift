// WeightAxes.swift: how a parameter of ours lies in files of PyTorch and ONNX: outputs slowest, [K,C/G,R,S] and [K,C].
// Not here: names (WeightNames.swift), which vectors have another order there (FlattenedMaps.swift).
import CRengaKernels
import RengaNetwork

/// The two forms of a parameter: ours is [taps,C,K] in memory, theirs [K,C,taps].
struct WeightAxes {
    /// Extents as we keep them.
    let ours: [Int]
    /// Extents as they keep them.
    let theirs: [Int]
    private let taps: Int
    private let c: Int
    private let k: Int

    /// The axes of parameter `spec` of `node`. source: the map whose flattening the node reads, if the order differs.
    init(_ spec: ParameterSpec, of node: Node, flattened source: Shape?) {
        let ours = spec.dimensions
        let (taps, c) = source.map { ($0.h * $0.w, $0.c) } ?? (1, spec.dimensions.first ?? 1)
        switch (spec.dimensions.count, node.op) {
        case (4, _):
            let (r, s, c, k) = (ours[0], ours[1], ours[2], ours[3])
            self.init(ours, [k, c, r, s], taps: r * s, c, k)
        case (2, _):
            self.init(ours, [ours[1], ours[0]], taps: taps, c, ours[1])
        case (_, is Linear):
            // A bias belongs to the outputs, whose order nothing changes.
            self.init(same: spec.dimensions)
        default:
            self.init(ours, ours, taps: taps, c, 1)
        }
    }

    /// A parameter that both keep alike.
    init(same dimensions: [Int]) {
        self.init(dimensions, dimensions, taps: 1, 1, dimensions.saturatingProduct)
    }

    private init(_ ours: [Int], _ theirs: [Int], taps: Int, _ c: Int, _ k: Int) {
        (self.ours, self.theirs) = (ours, theirs)
        (self.taps, self.c, self.k) = (taps, c, k)
    }

    /// Whether both have their numbers in the same order.
    var isSame: Bool { [taps, c, k].count { $0 > 1 } <= 1 }

    /// Our tensor as they keep it.
    func exported(_ tensor: Tensor) throws(RengaError) -> Tensor {
        try converted(tensor, dimensions: theirs) { src, dst in
            rk_weights_outputs_first(src, Int64(taps), Int64(c), Int64(k), 0, Int64(k), dst)
        }
    }

    /// Their tensor as we keep it.
    func imported(_ tensor: Tensor) throws(RengaError) -> Tensor {
        try converted(tensor, dimensions: ours) { src, dst in
            rk_weights_outputs_last(src, Int64(taps), Int64(c), Int64(k), dst)
        }
    }

    private func converted(
        _ tensor: Tensor, dimensions: [Int],
        _ exchange: (UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
    ) throws(RengaError) -> Tensor {
        if isSame && tensor.dimensions == dimensions { return tensor }
        return try Tensor(dimensions: dimensions) { (dst) throws(RengaError) in
            guard dst.count == tensor.count else {
                throw RengaError(.shapeMismatch, "\(tensor.dimensions) cannot become \(dimensions)")
            }
            tensor.withUnsafeValues { src in
                if let src = src.baseAddress, let dst = dst.baseAddress { exchange(src, dst) }
            }
        }
    }

    /// Calls `sink` with the numbers of `tensor` in their order, at most about `pieceBytes` at a time.
    func export(
        _ tensor: Tensor, pieceBytes: Int = 4 << 20, to sink: (UnsafeRawBufferPointer) throws(RengaError) -> Void
    ) throws(RengaError) {
        if isSame {
            return try tensor.withUnsafeValues { (values) throws(RengaError) in try sink(UnsafeRawBufferPointer(values))
            }
        }
        let perOutput = taps * c
        let outputs = min(max(pieceBytes / 4 / perOutput, 1), k)
        var piece = try Tensor(dimensions: [outputs, perOutput])
        for first in stride(from: 0, to: k, by: outputs) {
            let count = min(outputs, k - first)
            tensor.withUnsafeValues { src in
                piece.withUnsafeMutableValues { dst in
                    guard let src = src.baseAddress, let dst = dst.baseAddress else { return }
                    rk_weights_outputs_first(src, Int64(taps), Int64(c), Int64(k), Int64(first), Int64(count), dst)
                }
            }
            try piece.withUnsafeValues { (values) throws(RengaError) in
                try sink(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: values[..<(count * perOutput)])))
            }
        }
    }
}
