// TrainingProgress.swift: what a training tells about itself: while it runs, and epoch by epoch afterwards.
// Not here: the loop that fills it (Trainer+Fit).
import Glibc

/// Where a training stands; given to the callback after each step and at each epoch's end.
public struct TrainingProgress: Sendable, Equatable {
    /// The epoch, from 1.
    public var epoch = 1
    /// Epochs of the recipe.
    public var epochs = 1
    /// The batch in this epoch, from 1.
    public var batch = 0
    /// Batches of an epoch.
    public var batches = 0
    /// Steps since the trainer was made, this one included.
    public var step = 0
    /// Training images per second, in this epoch so far.
    public var imagesPerSecond = 0.0
    /// Mean training loss of this epoch so far.
    public var loss = 0.0
    /// Training accuracy of this epoch so far, on augmented images, in 0 ... 1.
    public var accuracy = 0.0
    /// Learning rate of the last step.
    public var learningRate = 0.0
    /// Euclidean norm of the last step's gradients, before clipping.
    public var gradientNorm = 0.0
    /// Seconds of training since the beginning, evaluations not counted.
    public var seconds = 0.0
    /// Seconds of training that are left at the present speed.
    public var secondsLeft = 0.0
    /// Accuracy on the validation set at an epoch's end; nil otherwise.
    public var testAccuracy: Double?
    /// True at an epoch's end.
    public var epochEnded = false
}

/// One finished epoch.
public struct EpochRecord: Sendable, Equatable {
    /// The epoch, from 1.
    public var epoch: Int
    /// Mean training loss.
    public var loss: Double
    /// Training accuracy on augmented images, in 0 ... 1.
    public var accuracy: Double
    /// Accuracy on the validation set; nil without one.
    public var testAccuracy: Double?
    /// Mean loss on the validation set; nil without one.
    public var testLoss: Double?
    /// Seconds of training, evaluation not counted.
    public var seconds: Double
    /// Learning rate of the epoch's last step.
    public var learningRate: Double
}

/// Where the next step of `fit` begins, and the sums of the epoch so far: what a checkpoint must carry besides the numbers of the network.
struct TrainingPosition: Equatable {
    /// Finished epochs.
    var epoch = 0
    /// Finished batches of the present epoch.
    var batch = 0
    /// Steps since the trainer was made, those by hand included.
    var step = 0
    /// Batches of an epoch; 0 before the first fit.
    var batches = 0
    var lossSum = 0.0
    var correct = 0
    var seconds = 0.0
    /// Seconds of all finished epochs.
    var earlierSeconds = 0.0

    /// Moves to the next epoch.
    mutating func endEpoch() {
        earlierSeconds += seconds
        (epoch, batch, lossSum, correct, seconds) = (epoch + 1, 0, 0, 0, 0)
    }
}

/// Seconds on a clock that nobody sets.
func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
