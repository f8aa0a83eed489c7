// Quadrants.swift: trains a small network on generated images (which quadrant is bright?), saves it, loads it and asks it.
// Usage: quadrants OUT. Not here: data from files (DatasetFolder, IDX), the C interface.
import Renga

@main
enum Quadrants {
    static let (side, classes) = (16, 4)

    /// Grey images `[n,16,16,1]` of noise; one quadrant is brighter, and the label says which.
    static func images(_ n: Int, seed: UInt32) -> (pixels: [UInt8], labels: [Int32]) {
        var state = seed
        let labels = (0..<n).map { Int32($0 % classes) }
        let pixels = labels.flatMap { label in
            (0..<side * side).map { p in
                state = state &* 1_664_525 &+ 1_013_904_223
                let quadrant = (p / side >= side / 2 ? 2 : 0) + (p % side >= side / 2 ? 1 : 0)
                return UInt8(state >> 25) + (quadrant == Int(label) ? 96 : 0)
            }
        }
        return (pixels, labels)
    }

    static func dataset(_ n: Int, seed: UInt32) throws -> Dataset {
        let (pixels, labels) = images(n, seed: seed)
        return try Dataset(
            copying: pixels, labels: labels, shape: Shape(n: n, h: side, w: side, c: 1), element: .u8, layout: .nhwc,
            classes: classes)
    }

    static func main() throws {
        let path = CommandLine.arguments.dropFirst().first ?? "quadrants.safetensors"
        let network = try Architectures.make(
            "resnet", options: ["depth": "8", "classes": "4", "input": "16x16x1"], seed: 1)

        // A mirrored quadrant is another one: the recipe's shifts and flips are off.
        let trainer = try Trainer(network, recipe: Recipe(text: "fast,epochs=3,batch=32,flip=no,pad=0"))
        try trainer.fit(dataset(512, seed: 1)) { now in
            if now.epochEnded { print("epoch \(now.epoch): loss \(now.loss)") }
            return true
        }
        let judged = try Evaluation(of: trainer.network(), on: dataset(128, seed: 2))
        print("\(judged.correct) of \(judged.n) right")
        try NetworkFile(trainer.network()).save(to: path)

        let session = try Session(NetworkFile(path: path).network)
        var (pixels, scores) = (images(1, seed: 3).pixels, [Float](repeating: 0, count: classes))
        try pixels.withUnsafeMutableBytes { pixels in
            try scores.withUnsafeMutableBufferPointer { scores in
                guard let src = pixels.baseAddress, let dst = scores.baseAddress else { return }
                let image = InputView(data: src, shape: session.inputShapes[0], element: .u8)
                try session.run([image], outputs: [OutputView(data: dst, count: scores.count)], n: 1)
            }
        }
        print("label 0, scores \(scores)")
    }
}
