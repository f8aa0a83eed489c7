// CompiledPlan.swift: a program and the memory that it runs in: what both kinds of plan are.
// Not here: what is emitted (InferencePlan, TrainingPlan).
import CRengaKernels
import RengaNetwork

/// A program bound to its memory.
package struct CompiledPlan {
    /// The steps.
    package let program: Program
    /// Bytes.
    package let memory: PlanMemory
    /// Threads that a run should use: one where the work is too small to share, and no more than there are processors.
    package let threads: Int
    let buffers: PlanBuffers

    /// Emits twice: to measure, then to bind. `emit` must do the same both times.
    init(
        _ graph: Graph, _ settings: EmitterSettings, _ weights: any WeightSource, needsGradient: Set<ValueID> = [],
        shared: PlanBuffers? = nil, emit: (Emitter) throws(RengaError) -> Void
    ) throws(RengaError) {
        let measuring = Emitter(graph, settings, weights, needsGradient: needsGradient)
        try measuring.emitAll(emit)
        let layout = try ArenaLayout(ArenaPlan(measuring), shared: shared)
        let binding = Emitter(graph, settings, weights, needsGradient: needsGradient, layout: layout)
        try binding.emitAll(emit)
        guard binding.stepCount == measuring.stepCount, binding.names.count == measuring.names.count else {
            throw RengaError(.internalFault, "a plan's two passes differ")
        }
        program = binding.program
        memory = layout.memory
        buffers = layout.kept
        threads =
            settings.serialWhereSmall
            ? CompiledPlan.usefulThreads(program.infos, settings.threads) : settings.threads
    }

    /// No more threads than processors, since the rest would only wait at barriers; one thread where sharing saves less than a sixth.
    /// In seconds, for a fast core of today, so that in doubt the host's other cores stay free: 100 billion multiply-accumulates
    /// (Winograd's count as the direct ones) or 20 GB moved per second; 1.5 us for the barrier behind each step and 10 us for waking
    /// the team.
    package static func usefulThreads(
        _ infos: [StepInfo], _ wanted: Int, processors: Int = Int(rk_processors())
    ) -> Int {
        let threads = min(wanted, processors)
        var work = 0.0
        for info in infos { work += Double(info.macs) / 100e9 + Double(info.bytes) / 20e9 }
        let shared = work / Double(max(threads, 1)) + 1.5e-6 * Double(infos.count) + 10e-6
        return 1.2 * shared < work ? threads : 1
    }
}
