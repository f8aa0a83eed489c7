// Schedule.swift: the learning rate as a pure function of the position in training: nothing here remembers a step.
// Not here: who applies it (Trainer), how it is written as text (Recipe+Options).
import Glibc

/// The course of the learning rate over a training.
public enum ScheduleShape: String, Sendable, CaseIterable {
    /// The same rate throughout.
    case constant
    /// Multiplied by ``Schedule/decay`` after every ``Schedule/stepEpochs`` epochs.
    case step
    /// Multiplied by ``Schedule/decay`` at each of the drops, as the residual-network papers do at 1/2 and 3/4.
    case multistep
    /// Half a cosine from the rate down to ``Schedule/floor`` times the rate (Loshchilov and Hutter 2017, without restarts).
    case cosine
    /// Up from rate / ``Schedule/divisor`` to the rate during the share ``Schedule/rise`` of the training, then down to
    /// 1/10,000 of where it began, both along a cosine (Smith and Topin 2018, as PyTorch's `OneCycleLR`).
    case onecycle
}

/// A learning-rate schedule: a shape behind a linear warm-up. A value.
///
/// The warm-up raises the rate linearly from ``warmupStart`` times the rate to the rate over ``warmupEpochs`` epochs; the
/// shape then spans what is left of the training. One-cycle has its own rise and ignores the warm-up.
public struct Schedule: Sendable, Equatable {
    /// The shape behind the warm-up.
    public var shape = ScheduleShape.constant
    /// True: the rate changes only between epochs; false: at every step.
    public var perEpoch = false
    /// Length of the linear warm-up in epochs; 0 for none.
    public var warmupEpochs = 0.0
    /// The warm-up begins at this share of the rate.
    public var warmupStart = 0.01
    /// Step, multistep: what each drop multiplies the rate by.
    public var decay = 0.1
    /// Step: epochs between drops.
    public var stepEpochs = 30.0
    /// Multistep: the first drop, as a share of the training; 1 = never.
    public var firstDrop = 0.5
    /// Multistep: the second drop.
    public var secondDrop = 0.75
    /// Multistep: the third drop.
    public var thirdDrop = 1.0
    /// Cosine: where it ends, as a share of the rate.
    public var floor = 0.0
    /// One-cycle: the share of the training that rises.
    public var rise = 0.3
    /// One-cycle: it begins at rate / divisor.
    public var divisor = 25.0

    /// A constant rate.
    public init() {}

    /// The factor on the rate at the global `step` (from 0) of a training of `epochs` epochs with `stepsPerEpoch` steps each.
    /// Steps beyond the end keep the last step's factor.
    public func factor(step: Int, stepsPerEpoch: Int, epochs: Int) -> Double {
        let stepsPerEpoch = max(stepsPerEpoch, 1)
        // Time runs in steps or in epochs.
        let epoch = perEpoch ? 1 : Double(stepsPerEpoch)
        let total = Double(max(epochs, 1)) * epoch
        let time = min(Double(max(step, 0) / (perEpoch ? stepsPerEpoch : 1)), total - 1)

        if shape == .onecycle { return oneCycle(time, total: total) }
        let warmup = (warmupEpochs * epoch).rounded()
        if time < warmup { return warmupStart + (1 - warmupStart) * time / warmup }
        return shapeFactor(time - warmup, total: max(total - warmup, 1), epoch: epoch)
    }

    private func shapeFactor(_ time: Double, total: Double, epoch: Double) -> Double {
        switch shape {
        case .constant, .onecycle: 1
        case .step: pow(decay, (time / (stepEpochs * epoch)).rounded(.down))
        case .multistep:
            pow(decay, Double([firstDrop, secondDrop, thirdDrop].count { time >= ($0 * total).rounded() }))
        case .cosine: floor + (1 - floor) * (1 + cos(.pi * time / total)) / 2
        }
    }

    private func oneCycle(_ time: Double, total: Double) -> Double {
        let start = 1 / divisor
        let top = rise * total - 1
        if time <= top { return annealed(from: start, to: 1, part: top > 0 ? time / top : 1) }
        let rest = total - 1 - top
        return annealed(from: 1, to: start * 1e-4, part: rest > 0 ? (time - top) / rest : 1)
    }

    /// From `first` to `last` along half a cosine, `part` in 0 ... 1.
    private func annealed(from first: Double, to last: Double, part: Double) -> Double {
        last + (first - last) / 2 * (1 + cos(.pi * part))
    }
}
