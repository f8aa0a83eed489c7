// Trainer+Step.swift: one step on one batch, by hand or from the loop.
// Not here: where batches come from (RengaData), the formulas (kernels).
import CRengaKernels
import Glibc
import RengaExecution
import RengaNetwork

/// What one step found on its batch, before its update.
public struct StepResult: Sendable, Equatable {
    /// Mean loss.
    public var loss: Double
    /// Images whose answer was right.
    public var correct: Int
    /// Euclidean norm of the gradients, before clipping.
    public var gradientNorm: Double
}

extension Trainer {
    /// One step at the recipe's rate, without its schedule, on one batch of the recipe's size, not augmented; u8 images are
    /// normalised as the network's metadata says, f32 images are taken as they are.
    /// images: `[N,H,W,C]` in its own element type and layout; labels: `[N]`, each below the network's classes. Both are read during the call only.
    /// Errors: shapeMismatch, invalidArgument (a label), notFinite (an image, the loss or a gradient), busy.
    @discardableResult
    public func step(_ images: InputView, labels: UnsafeBufferPointer<Int32>) throws(RengaError) -> StepResult {
        try lock.running("step") { () throws(RengaError) in
            try check(images, labels)
            take(images, labels, try normalization(of: images))
            try checkFinite(images.element)
            return try advance(rate: recipe.learningRate)
        }
    }

    private func check(_ images: InputView, _ labels: UnsafeBufferPointer<Int32>) throws(RengaError) {
        let expected = plan.inputShape
        try images.check("the images of a step of this trainer", is: expected)
        guard labels.count == expected.n else {
            throw RengaError(.shapeMismatch, "\(expected.n) images came with \(labels.count) labels")
        }
        for (index, label) in labels.enumerated() where label < 0 || Int(label) >= classes {
            throw RengaError(.invalidArgument, "label \(label) of image \(index) is not in 0..<\(classes)")
        }
    }

    /// What the network's metadata asks for: u8 images only; the identity where it asks for nothing.
    private func normalization(of images: InputView) throws(RengaError) -> (mean: [Float], scale: [Float]) {
        let c = images.shape.c
        guard images.element == .u8, let given = try template.normalization() else {
            return ([Float](repeating: 0, count: c), [Float](repeating: 1, count: c))
        }
        guard given.mean.count == c else {
            throw RengaError(
                .shapeMismatch, "the network's normalisation has \(given.mean.count) channels, the images have \(c)")
        }
        return (given.mean, given.scale)
    }

    /// Into the plan's batch: no part of the training's state.
    private func take(
        _ images: InputView, _ labels: UnsafeBufferPointer<Int32>, _ normalization: (mean: [Float], scale: [Float])
    ) {
        let shape = plan.inputShape
        var arguments = rk_image_import_args()
        (arguments.n, arguments.h) = (Int64(shape.n), Int64(shape.h))
        (arguments.w, arguments.c) = (Int64(shape.w), Int64(shape.c))
        arguments.dst = UnsafeMutableRawPointer(plan.src)
        normalization.mean.withUnsafeBufferPointer { mean in
            normalization.scale.withUnsafeBufferPointer { scale in
                images.describe(to: &arguments, mean.baseAddress, scale.baseAddress)
                withUnsafePointer(to: &arguments) { pointer in
                    var step = rk_step(run: rk_image_import, args: UnsafeRawPointer(pointer), enabled: nil)
                    _ = rk_run(&step, 1, Int32(threads), nil, nil)
                }
            }
        }
        for (index, label) in labels.enumerated() { plan.labels[index] = label }
    }

    /// A NaN could hide behind a ReLU and still end in the statistics: better to say where it came from.
    private func checkFinite(_ element: ImageElement) throws(RengaError) {
        guard element == .f32 else { return }
        let values = UnsafeBufferPointer(start: plan.src, count: plan.inputShape.count)
        guard let index = values.firstIndex(where: { !$0.isFinite }) else { return }
        throw RengaError(
            .notFinite, "image \(index / plan.inputShape.countPerImage) of the batch holds \(values[index])")
    }

    /// Runs the plan on what lies in its batch buffers; counts the step where everything was finite, undoes it where not.
    func advance(rate: Double) throws(RengaError) -> StepResult {
        optimizer.rate.pointee = Float(rate)
        optimizer.time.pointee = Int64(position.step + 1)
        plan.dropoutCounter = UInt64(position.step)
        plan.gates?.counter = UInt64(position.step)
        let statisticBytes = plan.statisticFloats * MemoryLayout<Float>.stride
        memcpy(statisticsBefore.base, plan.runningStatistics, statisticBytes)
        let result = try plan.run(n: recipe.batchSize)
        guard !plan.program.wasStopped else {
            memcpy(plan.runningStatistics, statisticsBefore.base, statisticBytes)
            throw RengaError(
                .notFinite,
                "step \(position.step + 1) (epoch \(position.epoch + 1), batch \(position.batch + 1)) at learning rate "
                    + "\(rate): the loss \(result.loss), a gradient (norm \(optimizer.gradientNorm)) or a running statistic is "
                    + "not finite; the trainer stands after step \(position.step)")
        }
        position.step += 1
        return StepResult(loss: result.loss, correct: result.correct, gradientNorm: optimizer.gradientNorm)
    }
}
