// Mean.swift: how the mean of maps runs (merge-and-run networks, Zhao et al. 2016).
// Not here: the kernels' arguments (SumKernels.swift).
import RengaNetwork

extension Mean: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// The ReLU behind it.
    package func fusible(_ purpose: Purpose) -> Fusible { .relu }

    /// dst = relu?((src[0] + … + src[K-1]) / K).
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try SumKernels(step: step, scale: 1 / Float(step.inputs.count)).forward(emit)
    }

    /// Each input gets ddst / K.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try SumKernels(step: step, scale: 1 / Float(step.inputs.count)).backward(emit)
    }
}
