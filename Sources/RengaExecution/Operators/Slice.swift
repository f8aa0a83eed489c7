// Slice.swift: how a slice runs: a gather by one table an axis.
import RengaNetwork

extension Slice: Gathering {
    func kernels(_ step: FusedStep, _ emit: Emitter) -> GatherKernels {
        let src = emit.shape(step.inputs[0])
        let (rows, columns) = (h.resolved(size: src.h).first, w.resolved(size: src.w).first)
        let channels = c.resolved(size: src.c).first
        return GatherKernels(
            step: step, value: 0, row: { rows + $0 * h.step }, column: { columns + $0 * w.step },
            channel: { channels + $0 * c.step })
    }
}
