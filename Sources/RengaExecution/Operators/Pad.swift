// Pad.swift: how a pad runs: a gather by one table an axis.
import RengaNetwork

extension Pad: Gathering {
    func kernels(_ step: FusedStep, _ emit: Emitter) -> GatherKernels {
        let src = emit.shape(step.inputs[0])
        return GatherKernels(
            step: step, value: value, row: { source(of: $0, h, size: src.h) ?? -1 },
            column: { source(of: $0, w, size: src.w) ?? -1 }, channel: { source(of: $0, c, size: src.c) ?? -1 })
    }
}
