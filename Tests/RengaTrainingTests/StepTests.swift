// StepTests.swift: steps by hand: what they refuse, weight decay's switches, clipping, normalisation of data sets.
// Not here: the numbers of the update rules (GoldenTests).
import CRengaKernels
import RengaData
import RengaNetwork
import TestSupport
import XCTest

@testable import RengaExecution
@testable import RengaTraining

final class StepTests: XCTestCase {
    private let shape = Shape(n: 20, h: Toy.h, w: Toy.w, c: 1)

    private func images(_ shape: Shape) -> [Float] {
        var random = RandomStream(seed: 5, purpose: .augmentation)
        return (0..<shape.count).map { _ in random.uniform() - 0.5 }
    }

    private func step(
        _ trainer: Trainer, _ values: [Float], _ shape: Shape, labels: [Int32], layout: ImageLayout = .nhwc
    ) throws -> StepResult {
        try values.withUnsafeBytes { bytes in
            let view = InputView(data: try XCTUnwrap(bytes.baseAddress), shape: shape, layout: layout)
            return try labels.withUnsafeBufferPointer { try trainer.step(view, labels: $0) }
        }
    }

    // MARK: - Refusals

    func testWrongBatchesAreRefusedAndNothingMoves() throws {
        let trainer = try Trainer(Toy.network(), recipe: Toy.recipe())
        let before = try bits(trainer.network())
        let good = images(shape)
        let labels = [Int32](repeating: 1, count: 20)
        expect(.shapeMismatch, "[20,8,9,1]", "[19,8,9,1]") {
            _ = try self.step(trainer, good, Shape(n: 19, h: 8, w: 9, c: 1), labels: labels)
        }
        expect(.shapeMismatch, "20 images", "19 labels") {
            _ = try self.step(trainer, good, self.shape, labels: Array(labels.dropLast()))
        }
        for wrong in [-1, 4, Int32.max, Int32.min] {
            var damaged = labels
            damaged[7] = wrong
            expect(.invalidArgument, "label \(wrong)", "image 7", "0..<4") {
                _ = try self.step(trainer, good, self.shape, labels: damaged)
            }
        }
        for wrong in [Float.nan, .infinity, -.infinity] {
            var damaged = good
            damaged[3 * 72 + 5] = wrong
            expect(.notFinite, "image 3") { _ = try self.step(trainer, damaged, self.shape, labels: labels) }
        }
        XCTAssertEqual(try bits(trainer.network()), before)
        XCTAssertEqual(trainer.steps, 0)
        _ = try step(trainer, good, shape, labels: labels)
        XCTAssertEqual(trainer.steps, 1)
        XCTAssertNotEqual(try bits(trainer.network()), before)
    }

    func testLayoutsGiveTheSameStep() throws {
        var builder = NetworkBuilder()
        let input = try builder.addInput(h: 4, w: 5, c: 3)
        let flat = try builder.add(Flatten(), input)
        let output = try builder.add(Linear(channels: 4), flat)
        let network = try builder.build(outputs: [output])
        let shape = Shape(n: 20, h: 4, w: 5, c: 3)
        let values = images(shape)
        var turned = values
        for n in 0..<20 {
            for pixel in 0..<20 {
                for c in 0..<3 { turned[(n * 3 + c) * 20 + pixel] = values[(n * 20 + pixel) * 3 + c] }
            }
        }
        let labels = (0..<20).map { Int32($0 % 4) }
        let first = try Trainer(network, recipe: Toy.recipe())
        let second = try Trainer(network, recipe: Toy.recipe())
        XCTAssertEqual(
            try step(first, values, shape, labels: labels),
            try step(second, turned, shape, labels: labels, layout: .nchw))
        XCTAssertEqual(try bits(first.network()), try bits(second.network()))
    }

    // MARK: - Weight decay and clipping

    /// With nothing to learn from but the decay itself: a rate of 1 takes exactly the decay off.
    func testWeightDecayTouchesWhatItsSwitchesSay() throws {
        for (norm, bias) in [(true, true), (true, false), (false, true), (false, false)] {
            var recipe = Toy.recipe()
            recipe.decayNorm = norm
            recipe.decayBias = bias
            var decayed = recipe
            decayed.weightDecay = 0.5
            recipe.weightDecay = 0
            let labels = (0..<20).map { Int32($0 % 4) }
            let plain = try Trainer(Toy.network(), recipe: recipe)
            let shrunk = try Trainer(Toy.network(), recipe: decayed)
            _ = try step(plain, images(shape), shape, labels: labels)
            _ = try step(shrunk, images(shape), shape, labels: labels)
            let other = try shrunk.network()
            for (name, parameter) in try plain.network().parameters {
                let touches =
                    switch parameter.role {
                    case .weight: true
                    case .gamma: norm
                    // Both begin at zero, where decay takes nothing off.
                    case .beta, .bias: false
                    default: false
                    }
                let values = other.parameters[name]?.tensor.values
                XCTAssertEqual(values != parameter.tensor.values, touches, "\(name), norm \(norm), bias \(bias)")
            }
        }
    }

    func testRangesJoinNeighboursAndKeepTheirDecay() throws {
        func slot(_ role: ParameterRole, _ offset: Int, _ count: Int) -> TrainingPlan.Slot {
            TrainingPlan.Slot(name: "x", role: role, offset: offset, count: count, dimensions: [count])
        }
        let slots = [
            slot(.weight, 0, 9), slot(.bias, 16, 3), slot(.weight, 32, 5), slot(.gamma, 48, 3), slot(.beta, 64, 3),
            slot(.slope, 80, 2),
        ]
        var recipe = Recipe()
        recipe.weightDecay = 0.25
        XCTAssertEqual(ranges(recipe, slots), ["0..<82 0.25"])
        recipe.decayBias = false
        XCTAssertEqual(ranges(recipe, slots), ["0..<9 0.25", "16..<19 0.0", "32..<67 0.25", "80..<82 0.0"])
        recipe.decayNorm = false
        XCTAssertEqual(ranges(recipe, slots), ["0..<9 0.25", "16..<19 0.0", "32..<37 0.25", "48..<82 0.0"])
    }

    private func ranges(_ recipe: Recipe, _ slots: [TrainingPlan.Slot]) -> [String] {
        Optimizer.ranges(recipe, slots).map { "\($0.begin)..<\($0.end) \($0.weight_decay)" }
    }

    func testClippingScalesTheStepToTheNorm() throws {
        var recipe = Toy.recipe()
        recipe.weightDecay = 0
        recipe.momentum = 0
        recipe.learningRate = 1
        let labels = (0..<20).map { Int32($0 % 4) }
        let network = try Toy.network(dropout: false)
        let free = try Trainer(network, recipe: recipe)
        let norm = try step(free, images(shape), shape, labels: labels).gradientNorm
        XCTAssertEqual(try distance(network, free.network()), norm, accuracy: 1e-4 * norm)
        recipe.clipNorm = norm / 8
        let clipped = try Trainer(network, recipe: recipe)
        XCTAssertEqual(try step(clipped, images(shape), shape, labels: labels).gradientNorm, norm)
        XCTAssertEqual(try distance(network, clipped.network()), norm / 8, accuracy: 1e-4 * norm)
        recipe.clipNorm = norm * 1.01
        let untouched = try Trainer(network, recipe: recipe)
        _ = try step(untouched, images(shape), shape, labels: labels)
        XCTAssertEqual(try bits(untouched.network()), try bits(free.network()))
    }

    /// Between the trained parameters of two networks.
    private func distance(_ a: Network, _ b: Network) -> Double {
        var squares = 0.0
        for (name, parameter) in a.parameters where parameter.role.isTrainable {
            for (x, y) in zip(parameter.tensor.values, b.parameters[name]?.tensor.values ?? []) {
                squares += Double(x - y) * Double(x - y)
            }
        }
        return squares.squareRoot()
    }

    // MARK: - Normalisation

    func testFitMeasuresBytesOnceAndLeavesFloatsAlone() throws {
        let bytes = try Toy.dataset(60)
        let trainer = try Trainer(Toy.network(), recipe: Toy.recipe(epochs: 1))
        XCTAssertNil(try trainer.network().normalization())
        try trainer.fit(bytes)
        XCTAssertEqual(try trainer.network().normalization(), try Normalization(measuring: bytes))

        var given = try Toy.network()
        given.metadata[Normalization.metadataKey] = try Normalization(mean: [7], scale: [0.5]).json
        let second = try Trainer(given, recipe: Toy.recipe(epochs: 1))
        try second.fit(bytes)
        XCTAssertEqual(try second.network().normalization(), try Normalization(mean: [7], scale: [0.5]))
        XCTAssertNotEqual(try bits(second.network()), try bits(trainer.network()))

        let third = try Trainer(Toy.network(), recipe: Toy.recipe(epochs: 1))
        try third.fit(Toy.dataset(60, element: .f32))
        XCTAssertNil(try third.network().normalization())
    }

}
