// Evaluation.swift: a network's accuracy and loss on a data set across the border.
// Not here: how they are counted (RengaTraining.Evaluation).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import Renga
import RengaExecution
import RengaNetwork
import RengaTraining

@c @implementation
public func renga_evaluate(
    _ network: OpaquePointer?, _ dataset: OpaquePointer?, _ threads: Int32,
    _ out_accuracy: UnsafeMutablePointer<Double>?, _ out_loss: UnsafeMutablePointer<Double>?,
    _ out_confusion: UnsafeMutablePointer<Int64>?, _ confusion_count: Int
) -> renga_status {
    renga_evaluate_in(network, dataset, 0, threads, out_accuracy, out_loss, out_confusion, confusion_count)
}

@c @implementation
public func renga_evaluate_in(
    _ network: OpaquePointer?, _ dataset: OpaquePointer?, _ precision: Int32, _ threads: Int32,
    _ out_accuracy: UnsafeMutablePointer<Double>?, _ out_loss: UnsafeMutablePointer<Double>?,
    _ out_confusion: UnsafeMutablePointer<Int64>?, _ confusion_count: Int
) -> renga_status {
    guarded { () throws(RengaError) in
        out_accuracy?.pointee = 0
        out_loss?.pointee = 0
        let network = try object(network, "network", as: NetworkObject.self).value
        let dataset = try object(dataset, "dataset", as: DatasetObject.self).value
        let precision = try Precision(precision, "precision")
        let threads = try threadCount(threads, "threads")
        if out_confusion != nil {
            let classes = try Trainer.classes(of: network)
            guard classes <= Evaluation.mostConfusedClasses else {
                throw RengaError(
                    .unsupported,
                    "a confusion matrix of more than \(Evaluation.mostConfusedClasses) classes is not counted; the network has "
                        + "\(classes): pass NULL for out_confusion")
            }
            try checkRoom(confusion_count, "confusion_count", needed: classes * classes)
        }
        let evaluation = try Evaluation(of: network, on: dataset, threads: threads, precision: precision)
        out_accuracy?.pointee = evaluation.accuracy
        out_loss?.pointee = evaluation.loss
        guard let out_confusion else { return }
        for (index, count) in evaluation.confusion.enumerated() { out_confusion[index] = Int64(count) }
    }
}
