// WeightFileTests.swift: weights in files under other names: what is written is read back bit by bit; files that do not fit change nothing.
// Not here: names and axes (WeightNamesTests.swift), PyTorch itself (bindings/python/tests).
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

@testable import RengaFormats

final class WeightFileTests: XCTestCase {
    private func network(seed: UInt64, classes: Int = 3) throws -> Network {
        try Architectures.make(
            "resnet", options: Attributes(text: "depth=8,width=4,classes=\(classes),input=8x8x3"), seed: seed)
    }

    private func bits(_ network: Network) -> [String: [UInt32]] {
        network.parameters.mapValues { $0.tensor.values.map(\.bitPattern) }
    }

    func testRoundTrips() throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/weights.safetensors"
        let (first, second) = (try network(seed: 1), try network(seed: 2))
        for names in ["renga", "pytorch", "torchvision", "a.*=stage1.*,b.*=stem.*", "x*y*=stage*.conv*.weight"] {
            let naming = try WeightNames(text: names)
            try WeightFile.save(first, to: path, names: naming)
            let loaded = try WeightFile.load(second, from: path, names: naming)
            XCTAssertEqual(bits(loaded), bits(first), names)
            XCTAssertNotEqual(bits(second), bits(first))
        }
        // A network's own file holds the same weights.
        try NetworkFile(first, tensors: ["velocity": Tensor(dimensions: [1])]).save(to: path)
        XCTAssertEqual(bits(try WeightFile.load(second, from: path, names: WeightNames(text: ""))), bits(first))
    }

    func testSomeMayStay() throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/weights.safetensors"
        let (first, other) = (try network(seed: 1), try network(seed: 2, classes: 7))
        try WeightFile.save(first, to: path, names: WeightNames(text: "torchvision"))
        expect(.shapeMismatch, "2 of other extents", "fc.bias [3], expected [7]") {
            _ = try WeightFile.load(other, from: path, names: WeightNames(text: "torchvision"))
        }
        let loaded = try WeightFile.load(other, from: path, names: WeightNames(text: "torchvision,=fc.*"))
        for (name, values) in bits(loaded) {
            XCTAssertEqual(values, name.hasPrefix("fc.") ? bits(other)[name] : bits(first)[name], name)
        }
        try WeightFile.save(loaded, to: path, names: WeightNames(text: "torchvision,=fc.*"))
        XCTAssertNil(try SafetensorsFile(path: path).tensors["fc.bias"])
    }

    func testWhatDoesNotFitIsNamed() throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/weights.safetensors"
        let first = try network(seed: 1)
        let names = try WeightNames(text: "pytorch")
        try WeightFile.save(first, to: path, names: names)
        var file = try SafetensorsFile(path: path)
        file.tensors["stem.bn1.num_batches_tracked"] = try Tensor(dimensions: [])
        try file.save(to: path)
        XCTAssertEqual(bits(try WeightFile.load(first, from: path, names: names)), bits(first))
        let weight = file.tensors.removeValue(forKey: "fc.weight")
        file.tensors["more"] = weight
        file.tensors["fc.bias"] = try Tensor(dimensions: [3, 1])
        try file.save(to: path)
        expect(
            .notFound, path, "1 missing (fc.weight)", "1 no parameter of it (more)", "fc.bias [3, 1], expected [3]"
        ) { _ = try WeightFile.load(first, from: path, names: names) }
        expect(.notFound, "1 no parameter") {
            _ = try WeightFile.load(first, from: path, names: WeightNames(text: "=fc.weight,=fc.bias"))
        }
        let patched = try WeightFile.load(
            first, from: path, names: WeightNames(text: "=fc.weight,=fc.bias,mo*="))
        XCTAssertEqual(bits(patched), bits(first))
        expect(.fileError, "none") { _ = try WeightFile.load(first, from: "\(scratch.path)/none", names: names) }
        expect(.invalidArgument, "two parameters", "same") {
            try WeightFile.save(first, to: path, names: WeightNames(text: "same=fc.bias,same=stem.bn1.bias"))
        }
    }
}
