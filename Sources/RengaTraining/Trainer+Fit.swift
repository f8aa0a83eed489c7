// Trainer+Fit.swift: the loop over epochs and batches: from where the trainer stands to the recipe's end.
// Not here: one step (Trainer+Step), what a checkpoint holds (Trainer+Checkpoint).
import CRengaKernels
import Glibc
import RengaData
import RengaNetwork

/// When `fit` writes checkpoints.
public struct CheckpointOptions: Sendable, Equatable {
    /// The file, replaced atomically each time.
    public var path: String
    /// Besides each epoch's end, after every so many steps; nil = at epochs' ends only.
    public var everySteps: Int?

    /// Writes to `path` after each epoch, and after every `everySteps` steps if given.
    public init(path: String, everySteps: Int? = nil) {
        self.path = path
        self.everySteps = everySteps
    }
}

extension Trainer {
    /// Trains to the end of the recipe, or from where a cancelled, failed or resumed run stood.
    ///
    /// Where the images are u8 and the network carries no normalisation, it is measured on `train` and stored with the network.
    /// validation: evaluated after each epoch. checkpoint: written after each epoch and every so many steps.
    /// progress: called on the calling thread after each step and each epoch; false stops with `cancelled`.
    /// Errors: shapeMismatch (images or classes that do not fit), invalidArgument (fewer images than a batch), notFinite (names the step),
    /// cancelled, fileError (a checkpoint), busy.
    public func fit(
        _ train: Dataset, validation: Dataset? = nil, checkpoint: CheckpointOptions? = nil,
        progress: ((TrainingProgress) -> Bool)? = nil
    ) throws(RengaError) {
        try lock.running("fit") { () throws(RengaError) in
            let batches = try check(train, validation, checkpoint)
            guard position.epoch < recipe.epochs else { return }
            try normalize(by: train)
            position.batches = batches
            let source = try loader(train)
            while position.epoch < recipe.epochs {
                while position.batch < batches {
                    try trainBatch(source, checkpoint, progress)
                }
                try finishEpoch(validation, checkpoint, progress)
            }
        }
    }

    /// Everything that can be wrong with the arguments, before anything moves. Returns the batches of an epoch.
    private func check(
        _ train: Dataset, _ validation: Dataset?, _ checkpoint: CheckpointOptions?
    ) throws(RengaError) -> Int {
        try Evaluation.check(train, fits: template, "the training set")
        if let validation { try Evaluation.check(validation, fits: template, "the validation set") }
        if let every = checkpoint?.everySteps, every < 1 {
            throw RengaError(.invalidArgument, "a checkpoint every \(every) steps makes no sense; at least 1")
        }
        let batches = train.shape.n / recipe.batchSize
        guard batches > 0 else {
            throw RengaError(
                .invalidArgument,
                "the training set has \(train.shape.n) images, fewer than the recipe's batch of \(recipe.batchSize)")
        }
        let isUnderWay = position.epoch > 0 || position.batch > 0
        guard !isUnderWay || position.batches == batches else {
            throw RengaError(
                .shapeMismatch,
                "this training began with \(position.batches) batches an epoch, the training set now gives \(batches)")
        }
        return batches
    }

    /// Where the images are bytes and nobody said what they mean, the training set does; sessions read it from the network.
    private func normalize(by train: Dataset) throws(RengaError) {
        guard train.element == .u8, try template.normalization() == nil else { return }
        template.metadata[Normalization.metadataKey] = try Normalization(measuring: train).json
    }

    private func loader(_ train: Dataset) throws(RengaError) -> BatchLoader {
        var options = BatchOptions(batch: recipe.batchSize)
        options.threads = min(threads, Int(rk_processors()))
        options.seed = UInt64(recipe.seed)
        options.augmentation = try Augmentation(pad: recipe.augmentPad, flips: recipe.augmentFlip)
        options.normalization = train.element == .u8 ? try template.normalization() : nil
        // A run that was stopped behind an epoch's last batch has that epoch's end still before it, but no batch of it.
        let isBehindLast = position.batch == position.batches
        return try BatchLoader(
            train, options,
            from: BatchPosition(
                epoch: position.epoch + (isBehindLast ? 1 : 0), batch: isBehindLast ? 0 : position.batch))
    }

    private func trainBatch(
        _ source: BatchLoader, _ checkpoint: CheckpointOptions?, _ progress: ((TrainingProgress) -> Bool)?
    ) throws(RengaError) {
        let started = monotonicSeconds()
        _ = source.next(src: plan.src, labels: plan.labels)
        let result = try advance(rate: rate(of: position))
        position.batch += 1
        position.lossSum += result.loss
        position.correct += result.correct
        position.seconds += monotonicSeconds() - started
        if let checkpoint, let every = checkpoint.everySteps, position.step % every == 0 {
            try write(to: checkpoint.path)
        }
        try report(progressNow(), to: progress)
    }

    private func finishEpoch(
        _ validation: Dataset?, _ checkpoint: CheckpointOptions?, _ progress: ((TrainingProgress) -> Bool)?
    ) throws(RengaError) {
        let evaluation = try validation.map { set throws(RengaError) in try judge(on: set) }
        var now = progressNow()
        now.epochEnded = true
        now.testAccuracy = evaluation?.accuracy
        epochRecords.append(
            EpochRecord(
                epoch: now.epoch, loss: now.loss, accuracy: now.accuracy, testAccuracy: evaluation?.accuracy,
                testLoss: evaluation?.loss, seconds: position.seconds, learningRate: now.learningRate))
        position.endEpoch()
        if let checkpoint { try write(to: checkpoint.path) }
        try report(now, to: progress)
    }

    /// As the network would be used that was trained so: in the recipe's precision.
    private func judge(on validation: Dataset) throws(RengaError) -> Evaluation {
        try Evaluation(of: snapshot(), on: validation, threads: threads, precision: recipe.precision)
    }

    private func report(_ now: TrainingProgress, to progress: ((TrainingProgress) -> Bool)?) throws(RengaError) {
        guard let progress, !progress(now) else { return }
        throw RengaError(
            .cancelled,
            "training was stopped by its callback after step \(now.step) (epoch \(now.epoch) of \(now.epochs), batch "
                + "\(now.batch) of \(now.batches))")
    }

    /// The rate of the step that follows `position`.
    private func rate(of position: TrainingPosition) -> Double {
        let step = position.epoch * position.batches + position.batch
        return recipe.learningRate
            * recipe.schedule.factor(step: step, stepsPerEpoch: position.batches, epochs: recipe.epochs)
    }

    /// After at least one batch of the present epoch.
    private func progressNow() -> TrainingProgress {
        let images = Double(position.batch * recipe.batchSize)
        let done = Double(position.epoch * position.batches + position.batch)
        let left = Double(recipe.epochs * position.batches) - done
        var last = position
        last.batch -= 1
        return TrainingProgress(
            epoch: position.epoch + 1, epochs: recipe.epochs, batch: position.batch, batches: position.batches,
            step: position.step, imagesPerSecond: images / max(position.seconds, 1e-9),
            loss: position.lossSum / Double(position.batch), accuracy: Double(position.correct) / images,
            learningRate: rate(of: last), gradientNorm: optimizer.gradientNorm,
            seconds: position.earlierSeconds + position.seconds,
            secondsLeft: left * position.seconds / Double(position.batch))
    }
}
