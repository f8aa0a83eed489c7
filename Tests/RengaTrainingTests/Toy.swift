// Toy.swift: a small problem that can be learnt in a second, and small networks for it.
// Not here: any check.
import CRengaKernels
import RengaData
import RengaNetwork

@testable import RengaTraining

/// Bright squares on noise: the class is the quadrant.
enum Toy {
    static let h = 8
    static let w = 9
    static let classes = 4

    /// `count` images of u8 or f32.
    static func dataset(_ count: Int, seed: UInt64 = 1, element: ImageElement = .u8) throws -> Dataset {
        var random = RandomStream(seed: seed, purpose: .augmentation)
        var pixels: [UInt8] = []
        var labels: [Int32] = []
        for _ in 0..<count {
            let label = Int(random.integer(below: UInt32(classes)))
            let top = (label / 2) * 4 + Int(random.integer(below: 2))
            let left = (label % 2) * 4 + Int(random.integer(below: 3))
            for y in 0..<h {
                for x in 0..<w {
                    let isInside = (top..<top + 3).contains(y) && (left..<left + 3).contains(x)
                    pixels.append(UInt8(random.integer(below: 120)) + (isInside ? 100 : 0))
                }
            }
            labels.append(Int32(label))
        }
        let shape = Shape(n: count, h: h, w: w, c: 1)
        if element == .u8 {
            return try Dataset(
                copying: pixels, labels: labels, shape: shape, element: .u8, layout: .nhwc, classes: classes)
        }
        let values = pixels.map { Float($0) / 100 - 1 }
        return try Dataset(
            copying: values, labels: labels, shape: shape, element: .f32, layout: .nhwc, classes: classes)
    }

    /// Convolution, batch norm, ReLU, twice; dropout; linear.
    static func network(classes: Int = classes, dropout: Bool = true, seed: UInt64 = 3) throws -> Network {
        var builder = NetworkBuilder()
        var last = try builder.addInput(h: h, w: w, c: 1)
        for (index, channels) in [6, 10].enumerated() {
            let window = Window(kernel: 3, stride: index + 1, pad: 1)
            last = try builder.add(Convolution(channels: channels, window: window), name: "conv\(index + 1)", last)
            last = try builder.add(BatchNorm(), name: "norm\(index + 1)", last)
            last = try builder.add(ReLU(), name: "relu\(index + 1)", last)
        }
        last = try builder.add(Flatten(), name: "flat", last)
        if dropout { last = try builder.add(Dropout(rate: 0.2), name: "drop", last) }
        last = try builder.add(Linear(channels: classes), name: "classifier", last)
        return try builder.build(outputs: [last], seed: seed)
    }

    /// A recipe that uses everything random: shuffling, shifts, flips, dropout.
    static func recipe(epochs: Int = 3) -> Recipe {
        var recipe = Recipe()
        recipe.epochs = epochs
        recipe.batchSize = 20
        recipe.learningRate = 0.05
        recipe.augmentPad = 1
        recipe.augmentFlip = false
        recipe.schedule.shape = .cosine
        recipe.labelSmoothing = 0.05
        recipe.seed = 11
        return recipe
    }
}

/// All parameters as bits, by name.
func bits(_ network: Network) -> [String: [UInt32]] {
    network.parameters.mapValues { $0.tensor.values.map(\.bitPattern) }
}
