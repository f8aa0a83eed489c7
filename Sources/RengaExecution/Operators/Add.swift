// Add.swift: how the sum of maps runs where no step before it could take it in.
// Not here: the kernels' arguments (SumKernels.swift), sums inside other steps (ConvolutionKernels.swift, BatchNorm.swift).
import RengaNetwork

extension Add: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// The ReLU behind it.
    package func fusible(_ purpose: Purpose) -> Fusible { .relu }

    /// dst = relu?(src[0] + src[1] + …).
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try SumKernels(step: step, scale: 1).forward(emit)
    }

    /// Each input gets ddst.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        try SumKernels(step: step, scale: 1).backward(emit)
    }
}
