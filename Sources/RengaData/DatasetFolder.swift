// DatasetFolder.swift: opens a data set by the file names that MNIST-like and CIFAR folders have by convention.
// Not here: the formats (IDX, CIFAR).
import Glibc
import RengaFormats
import RengaNetwork

/// Which part of a data set.
public enum DatasetPart: String, Sendable, CaseIterable {
    /// To train on.
    case train
    /// To test on.
    case test
}

/// A folder with a data set in files of well-known names.
public struct DatasetFolder: Sendable {
    /// The folder, as given.
    public let path: String

    /// Names a folder; nothing is read yet.
    public init(_ path: String) { self.path = path }

    /// Reads one part: IDX files (`train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, …, plain or `.gz`),
    /// CIFAR-10 (`data_batch_1.bin` … `_5.bin`, `test_batch.bin`) or CIFAR-100 (`train.bin`, `test.bin`; fine labels).
    /// Class names come from `class-names.txt`, from CIFAR's own lists, or from the folder's name (`fashion-mnist`).
    /// Errors: notFound where the folder holds none of these; those of the readers.
    public func open(_ part: DatasetPart) throws(RengaError) -> Dataset {
        try checkPath(path)
        if let images = idx(part, "images-idx3"), let labels = idx(part, "labels-idx1") {
            return try openIDX(images: images, labels: labels)
        }
        let tens =
            part == .train
            ? (1...5).compactMap { existing("data_batch_\($0).bin") } : [existing("test_batch.bin")].compactMap { $0 }
        if !tens.isEmpty {
            return try CIFAR.dataset(tens, .ten, classNames: try names("batches.meta.txt", count: 10))
        }
        if let hundred = existing("\(part.rawValue).bin") {
            let names = try names("fine_label_names.txt", count: 100)
            return try CIFAR.dataset([hundred], .hundredFine, classNames: names)
        }
        throw RengaError(
            .notFound,
            "'\(path)' holds no \(part.rawValue) set: expected \(DatasetFolder.prefix(part))-images-idx3-ubyte[.gz] and "
                + "…-labels-idx1-ubyte[.gz] (IDX), data_batch_1.bin and test_batch.bin (CIFAR-10), or train.bin and "
                + "test.bin (CIFAR-100)")
    }

    /// The classes of both parts together: a small test part may lack the last one.
    private func openIDX(images: String, labels: String) throws(RengaError) -> Dataset {
        var classes = 0
        for part in DatasetPart.allCases {
            guard let file = idx(part, "labels-idx1") else { continue }
            classes = max(classes, try IDX.labels(file).largest + 1)
        }
        var names = try names("class-names.txt", count: classes)
        if names.isEmpty, classes == DatasetFolder.fashionNames.count,
            path.split(separator: "/").last == "fashion-mnist"
        {
            names = DatasetFolder.fashionNames
        }
        return try IDX.dataset(images: images, labels: labels, classes: classes, classNames: names)
    }

    /// As published with the set (Xiao, Rasul, Vollgraf 2017); its files do not hold them.
    private static let fashionNames = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ]

    private static func prefix(_ part: DatasetPart) -> String { part == .train ? "train" : "t10k" }

    private func idx(_ part: DatasetPart, _ kind: String) -> String? {
        let name = "\(DatasetFolder.prefix(part))-\(kind)-ubyte"
        return existing(name) ?? existing(name + ".gz")
    }

    private func existing(_ name: String) -> String? {
        let file = "\(path)/\(name)"
        return access(file, F_OK) == 0 ? file : nil
    }

    /// The first `count` lines of a text file of names that are not empty; none where there is no such file or it has fewer.
    private func names(_ name: String, count: Int) throws(RengaError) -> [String] {
        guard let file = existing(name) else { return [] }
        let input = try InputFile(path: file)
        guard input.size <= DatasetFolder.mostNameBytes else {
            throw RengaError(.corruptData, "'\(file)' has \(input.size) bytes: too long for a list of class names")
        }
        let memory = try ImageMemory(count: input.size, stride: 1, "'\(file)'")
        let text = try memory.withBytes { (bytes) throws(RengaError) in
            try input.read(bytes, at: 0)
            return String(decoding: bytes, as: UTF8.self)
        }
        let lines = text.split(whereSeparator: \.isNewline).map(String.init)
        return lines.count >= count ? Array(lines.prefix(count)) : []
    }

    private static let mostNameBytes = 1 << 20
}
